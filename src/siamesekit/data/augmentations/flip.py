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
    """Mirror the pictures `[N, C, S, S]` that are marked, `[N]`: left and right, top and bottom."""
    across, down = (
        torch.from_numpy(marked).to(images.device).view(-1, 1, 1, 1) for marked in (horizontally, vertically)
    )
    images = torch.where(across, images.flip(3), images)
    return torch.where(down, images.flip(2), images)


@AUGMENTATIONS.register("flip")
class Flip:
    """Mirrored photos: uint8 `[N, 3, S, S]` → `[N, 3, S, S]`. No pixel value changes.

    Only for individuals that look alike from both sides: the mirror image of a fluke is another whale's.

    Args:
        horizontal: how often left and right are exchanged.
        vertical: how often top and bottom are exchanged.
    """

    def __init__(self, horizontal: Fraction = 0.5, vertical: Fraction = 0.0) -> None:
        self.horizontal, self.vertical = horizontal, vertical

    def __call__(self, images: Tensor, streams: Streams) -> Tensor:
        """Draws: horizontal, vertical."""
        return flip(images, streams.uniform() < self.horizontal, streams.uniform() < self.vertical)
