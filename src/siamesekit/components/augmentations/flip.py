"""Augmentation `flip`."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.options import Fraction
from siamesekit.randomness import Streams
from siamesekit.registry import AUGMENTATIONS


def flip(images: Tensor, horizontally: NDArray[np.bool_], vertically: NDArray[np.bool_]) -> Tensor:
    """Mirror the images `[N, C, S, S]` that are marked in `[N]`: left to right, top to bottom."""
    across, down = (
        torch.from_numpy(marked).to(images.device).view(-1, 1, 1, 1) for marked in (horizontally, vertically)
    )
    images = torch.where(across, images.flip(3), images)
    return torch.where(down, images.flip(2), images)


@AUGMENTATIONS.register("flip")
class Flip:
    """Random mirroring of photos: uint8 `[N, 3, S, S]` → `[N, 3, S, S]`. Pixel values do not change.

    Use it only for individuals that look alike from both sides: a mirrored fluke looks like another whale's.

    Args:
        horizontal: probability of mirroring left to right.
        vertical: probability of mirroring top to bottom.
    """

    __module__ = "siamesekit"

    def __init__(self, horizontal: Fraction = 0.5, vertical: Fraction = 0.0) -> None:
        self.horizontal, self.vertical = horizontal, vertical

    def __call__(self, images: Tensor, streams: Streams) -> Tensor:
        """The views. Draws: horizontal, vertical."""
        return flip(images, streams.uniform() < self.horizontal, streams.uniform() < self.vertical)
