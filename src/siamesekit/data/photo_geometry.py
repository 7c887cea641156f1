"""Turn photos upright and make them square, with positions to a fraction of a pixel."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

from siamesekit.data.photo_colours import Decoded, Pixels

Fit = Literal["squash", "pad", "crop"]
Edges = tuple[float, float, float, float]
"""Left, top, right and bottom edge of a photo in a decoded image, in pixels; the image may be slightly larger."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transposition that undoes each orientation (EXIF 2.3, tag 274)."""
_FROM_RIGHT, _FROM_BOTTOM = (2, 3, 6, 7), (3, 4, 7, 8)
"""Orientations that move the first stored column to the right, and the first stored row to the bottom."""


def upright(image: Image.Image, edges: Edges, orientation: int | None) -> tuple[Image.Image, Edges]:
    """Turn an image and the photo's edges in it upright, by an orientation (Pillow has already turned TIFF images)."""
    if orientation not in _UPRIGHT:
        return image, edges
    turned = image.transpose(_UPRIGHT[orientation])
    width, height = edges[2] - edges[0], edges[3] - edges[1]
    if orientation >= 5:  # these exchange width and height
        width, height = height, width
    left = turned.width - width if orientation in _FROM_RIGHT else 0
    top = turned.height - height if orientation in _FROM_BOTTOM else 0
    return turned, (left, top, left + width, top + height)


def square(pixels: Pixels, size: int, fit: Fit) -> Pixels:
    """Resize `[height, width, 3]` to `[size, size, 3]`: squash, pad with black, or crop to the middle."""
    if pixels.shape[:2] == (size, size):
        return pixels
    return np.asarray(fitted(pixels, (0, 0, *pixels.shape[1::-1]), size, fit))


def fitted(photo: Decoded, edges: Edges, size: int, fit: Fit) -> Image.Image:
    """Make the photo between edges of an image, or of its pixels `[height, width, 3]`, square."""
    image = photo if isinstance(photo, Image.Image) else Image.fromarray(photo)
    left, top, right, bottom = edges
    width, height = right - left, bottom - top
    sides = (size, size)
    if fit == "crop":
        side = min(width, height)
        left, top = left + (width - side) / 2, top + (height - side) / 2
        edges = (left, top, min(left + side, right), min(top + side, bottom))
    elif fit == "pad":  # a short side has at least one pixel
        sides = (
            (size, max(1, round(height / width * size)))
            if width > height
            else (max(1, round(width / height * size)), size)
        )
    resized = image.resize(sides, Image.Resampling.BILINEAR, edges)
    if sides == (size, size):
        return resized
    padded = Image.new("RGB", (size, size))
    padded.paste(resized, (round((size - sides[0]) / 2), round((size - sides[1]) / 2)))
    return padded
