"""Affine maps of images, one matrix per image."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


def warp(images: Tensor, matrices: NDArray[np.float64]) -> Tensor:
    """Map images float32 `[N, C, S, S]` → `[N, C, S, S]`, bilinearly, with edge pixels repeated beyond the edge.

    Args:
        images: the images.
        matrices: `[N, 2, 3]`, affine maps from a position in the result to one in the image. Positions are (x, y), from
            −1 to 1 across the image, x to the right and y down.
    """
    theta = torch.from_numpy(matrices).to(images)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def to_bytes(images: Tensor) -> Tensor:
    """Round and clamp pixel values to 0 … 255: `[...]` → uint8 `[...]`."""
    return images.round().clamp(0, 255).to(torch.uint8)
