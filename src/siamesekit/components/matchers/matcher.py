"""The protocol `Matcher` of matcher components, with what they take and give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Keypoints:
    """Points of a photo that can be found again, each with a description of its surroundings.

    Attributes:
        points: x and y in pixels of the upright photo, float32 `[K, 2]`; whole numbers are the middles of pixels.
        descriptors: float32 `[K, D]`.
        size: width and height of the photo in pixels.
    """

    __module__ = "siamesekit"

    points: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class PointMatches:
    """Points that two photos share: M pairs that agree in where one photo lies on the other.

    Attributes:
        first: x and y in pixels of the first photo, float32 `[M, 2]`, as in `Keypoints`.
        second: x and y in pixels of the second photo, float32 `[M, 2]`.
    """

    __module__ = "siamesekit"

    first: NDArray[np.float32]
    second: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)


NO_MATCHES = PointMatches(np.empty((0, 2), np.float32), np.empty((0, 2), np.float32))


class Matcher(Protocol):
    """Finds the points that two photos share; their number says how likely both show the same animal.

    The points themselves are the evidence: the page of a match and the report of a run draw them. A photo is described
    once, upright and cropped to its box, and then matched with any number of others. Threads call both methods at the
    same time. The text form (`repr`) should tell all that decides the points, because points are kept under it.
    """

    def describe(self, photo: NDArray[np.uint8]) -> Keypoints:
        """Find the keypoints of a photo, uint8 RGB `[height, width, 3]`."""
        ...

    def match(self, first: Keypoints, second: Keypoints) -> PointMatches:
        """Find the points that two photos share."""
        ...


Matcher.__module__ = "siamesekit"
