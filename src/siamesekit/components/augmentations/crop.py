"""Augmentation `crop`."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt, Le
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.augmentations.warp import to_bytes, warp
from siamesekit.options import Fraction
from siamesekit.randomness import Streams
from siamesekit.registry import AUGMENTATIONS

Share = Annotated[float, Gt(0), Le(1)]


def crop(
    images: Tensor,
    side: NDArray[np.float64],
    left: NDArray[np.float64],
    top: NDArray[np.float64],
    mirrored: NDArray[np.bool_],
) -> Tensor:
    """Crop a square from each image uint8 `[N, 3, S, S]` and enlarge it to the size of the image.

    Args:
        images: the images.
        side: `[N]`, side of the square as a share of the image side.
        left: `[N]`, left edge of the square as a share of the image side.
        top: `[N]`, upper edge of the square as a share of the image side.
        mirrored: `[N]`, whether the square is mirrored left to right.
    """
    matrices = np.zeros((len(side), 2, 3))
    matrices[:, 0, 0] = np.where(mirrored, -side, side)
    matrices[:, 1, 1] = side
    matrices[:, 0, 2] = 2 * left + side - 1  # centre of the square
    matrices[:, 1, 2] = 2 * top + side - 1
    return to_bytes(warp(images.float(), matrices))


@AUGMENTATIONS.register("crop")
class Crop:
    """A random square crop of each photo, enlarged to the photo's size: uint8 `[N, 3, S, S]` → `[N, 3, S, S]`.

    Args:
        smallest: least side of the crop as a share of the photo's side; the largest crop is the whole photo.
        flip: probability of mirroring left to right.
    """

    __module__ = "siamesekit"

    def __init__(self, smallest: Share = 0.7, flip: Fraction = 0.0) -> None:
        self.smallest, self.flip = smallest, flip

    def __call__(self, images: Tensor, streams: Streams) -> Tensor:
        """The views. Draws: side, left edge, top edge (as shares of the remaining space), flip."""
        side = streams.uniform(self.smallest, 1)
        left, top = streams.uniform() * (1 - side), streams.uniform() * (1 - side)
        return crop(images, side, left, top, streams.uniform() < self.flip)
