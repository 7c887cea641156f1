"""Light and colour of photos, and their blur."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey value (ITU-R BT.601)."""


def relight(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Change brightness, contrast, then saturation of images float `[N, 3, S, S]`, without clipping.

    Args:
        images: the images.
        brightness: `[N]`, factors of all values.
        contrast: `[N]`, factors of the difference of each value from the mean grey of the image.
        saturation: `[N]`, factors of the difference of each value from the grey of its pixel.
    """
    weights = images.new_tensor(GREY).view(1, 3, 1, 1)
    brightness, contrast, saturation = (factor.view(-1, 1, 1, 1) for factor in (brightness, contrast, saturation))
    bright = images * brightness
    mean = (bright.mean((2, 3), keepdim=True) * weights).sum(1, keepdim=True)
    contrasted = mean + (bright - mean) * contrast
    grey = (contrasted * weights).sum(1, keepdim=True)
    return grey + (contrasted - grey) * saturation


def blur(images: Tensor, sigma: Tensor, reach: int) -> Tensor:
    """Blur images float `[N, C, S, S]` by Gaussians, with edge pixels repeated beyond the edge.

    Args:
        images: the images.
        sigma: `[N]`, standard deviations in pixels, above 0.
        reach: width of the kernels to each side in pixels, at most S; beyond it they are cut off.
    """
    at = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernels = torch.exp(-0.5 * (at / sigma[:, None]).square())
    kernels = (kernels / kernels.sum(1, keepdim=True)).repeat_interleave(images.shape[1], 0)[:, None]
    planes = F.pad(images, (reach,) * 4, mode="replicate").flatten(0, 1)[None]
    across = F.conv2d(planes, kernels[:, :, None, :], groups=len(kernels))
    return F.conv2d(across, kernels[:, :, :, None], groups=len(kernels)).view_as(images)
