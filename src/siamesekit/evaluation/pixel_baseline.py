"""Baseline of plain pixels: photos compared by their pixels, without a network."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

PIXEL_BYTES, PIXEL_PHOTOS = 256 << 20, 5_000
"""Limits on the bytes of raw pixels as float32 and on the number of photos; beyond, the photos are averaged down.
Ranking pixels takes about eight times that memory, and a photo of 128 × 128 has 49,152 values, an embedding a few
hundred."""
PIXEL_SIDE = 32
"""Maximum side in pixels of photos that are averaged down."""
PHOTOS_AT_ONCE = 64


def raw_pixels(images: Tensor, photos: Tensor) -> tuple[Tensor, str | None]:
    """Flatten photos to vectors of pixel values, 0 … 1: float32 `[n, 3 · side²]`, and a note if they were scaled down.

    Up to `PIXEL_BYTES` and `PIXEL_PHOTOS`, photos keep their size. Beyond, each photo is averaged down to `PIXEL_SIDE`,
    or to a smaller side that fits, so that the baseline takes less time than the network.

    Args:
        images: uint8 `[N, 3, S, S]`, images of all photos.
        photos: int64 `[n]`, photos to flatten, as indices into `images`.
    """
    count, full = len(photos), images.shape[-1]
    side = pixel_side(count, full)
    points = torch.empty(count, 3 * side**2)
    for start, chosen in zip(range(0, count, PHOTOS_AT_ONCE), photos.split(PHOTOS_AT_ONCE), strict=True):
        pixels = images[chosen].float() / 255
        small = pixels if side == full else F.adaptive_avg_pool2d(pixels, side)
        points[start : start + len(chosen)] = small.flatten(1)
    if side == full:
        return points, None
    return points, (
        f"Raw pixels were compared at {side} × {side}, averaged down from {full} × {full}, because there "
        f"are {count:,} test photos."
    )


def pixel_side(count: int, side: int) -> int:
    """Side in pixels at which `count` photos of a given side are compared."""
    if count <= PIXEL_PHOTOS and pixel_bytes(count, side) <= PIXEL_BYTES:
        return side
    return max(1, min(side, PIXEL_SIDE, math.isqrt(PIXEL_BYTES // pixel_bytes(count, 1))))


def pixel_bytes(count: int, side: int) -> int:
    """Bytes of the pixels of `count` square photos as float32."""
    return 4 * count * 3 * side**2
