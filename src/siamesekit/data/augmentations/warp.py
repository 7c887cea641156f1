"""Affine maps of pictures, each by its own matrix."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


def warp(images: Tensor, matrices: NDArray[np.float64]) -> Tensor:
    """Map pictures float32 `[N, C, S, S]` → `[N, C, S, S]`, bilinear; beyond its edge a picture goes on as its edge.

    Args:
        images: the pictures.
        matrices: `[N, 2, 3]`: where in its picture each pixel of the result looks, both as (x, y) in units in which
            the picture reaches from −1 to 1, x to the right and y down.
    """
    where = torch.from_numpy(matrices).to(images)
    grid = F.affine_grid(where, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def to_bytes(images: Tensor) -> Tensor:
    """Pixel values of any range, to the nearest of 0 … 255: `[...]` → uint8 `[...]`."""
    return images.round().clamp(0, 255).to(torch.uint8)
