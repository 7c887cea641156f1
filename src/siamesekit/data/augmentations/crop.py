"""Augmentation `crop`."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt, Le
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.data.augmentations.warp import to_bytes, warp
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
    """Cut a square out of each picture uint8 `[N, 3, S, S]` and enlarge it to the picture's size.

    Args:
        images: the pictures.
        side: `[N]`, of the square, as a share of the picture's side.
        left: `[N]`, its left edge as a share of the picture's side.
        top: `[N]`, its upper edge.
        mirrored: `[N]`, whether left and right are exchanged in it.
    """
    matrices = np.zeros((len(side), 2, 3))
    matrices[:, 0, 0] = np.where(mirrored, -side, side)
    matrices[:, 1, 1] = side
    matrices[:, 0, 2] = 2 * left + side - 1  # the square's middle
    matrices[:, 1, 2] = 2 * top + side - 1
    return to_bytes(warp(images.float(), matrices))


@AUGMENTATIONS.register("crop")
class Crop:
    """A part of each photo, enlarged: uint8 `[N, 3, S, S]` → `[N, 3, S, S]`.

    Args:
        smallest: the smallest part's side, as a share of the photo's; the largest is the whole photo.
        flip: how often left and right are exchanged as well.
    """

    def __init__(self, smallest: Share = 0.7, flip: Fraction = 0.0) -> None:
        self.smallest, self.flip = smallest, flip

    def __call__(self, images: Tensor, streams: Streams) -> Tensor:
        """Draws: side, left edge, top edge (as shares of the room that the side leaves), flip."""
        side = streams.uniform(self.smallest, 1)
        left, top = streams.uniform() * (1 - side), streams.uniform() * (1 - side)
        return crop(images, side, left, top, streams.uniform() < self.flip)
