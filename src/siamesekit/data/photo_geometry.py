"""Turn photos upright and make them square, with positions to a fraction of a pixel."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

from siamesekit.data.photo_colours import Decoded, Pixels
from siamesekit.data.photo_reading import PLAIN, Reading

Fit = Literal["squash", "pad", "crop"]
Edges = tuple[float, float, float, float]
"""Left, top, right and bottom edge of a photo in a decoded image, in pixels; the image may be slightly larger."""

WHOLE = 8
"""A photo that is cropped by its share is resized whole if it gets at most this many times the pixels that are kept."""
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
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


def square(pixels: Pixels, size: int, fit: Fit, reading: Reading = PLAIN) -> Pixels:
    """Resize `[height, width, 3]` to `[size, size, 3]`: squash, pad with black, or crop to the middle."""
    if pixels.shape[:2] == (size, size) and reading.crop_share is None:
        return pixels
    return np.asarray(fitted(pixels, (0, 0, *pixels.shape[1::-1]), size, fit, reading))


def fitted(photo: Decoded, edges: Edges, size: int, fit: Fit, reading: Reading = PLAIN) -> Image.Image:
    """Make the photo between edges of an image, or of its pixels `[height, width, 3]`, square."""
    image = photo if isinstance(photo, Image.Image) else Image.fromarray(photo)
    left, top, right, bottom = edges
    width, height = right - left, bottom - top
    sides = (size, size)
    if fit == "crop" and reading.crop_share is not None:
        return _middle(image, edges, size, reading)
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
    resized = image.resize(sides, _FILTERS[reading.resampling], edges)
    if sides == (size, size):
        return resized
    padded = Image.new("RGB", (size, size))
    padded.paste(resized, (round((size - sides[0]) / 2), round((size - sides[1]) / 2)))
    return padded


def _middle(image: Image.Image, edges: Edges, size: int, reading: Reading) -> Image.Image:
    """The middle `size` × `size` pixels of the photo between edges, resized as the share of its shorter side says.

    The longer side is rounded down and the offset to the nearest whole pixel, half to even, as torchvision does, whose
    pixels these are. Of a very long photo only the middle is resized: its pixels differ by the order of Pillow's two
    passes, and by few levels.
    """
    left, top, right, bottom = edges
    width, height = right - left, bottom - top
    shorter = int(size / (reading.crop_share or 1))
    if width <= height:
        across, down = shorter, int(shorter * height / width)
    else:
        across, down = int(shorter * width / height), shorter
    x, y = round((across - size) / 2), round((down - size) / 2)
    by = _FILTERS[reading.resampling]
    if across * down <= WHOLE * size**2:
        return image.resize((across, down), by, edges).crop((x, y, x + size, y + size))
    wide, high = width / across, height / down
    left, top = left + x * wide, top + y * high
    return image.resize((size, size), by, (left, top, min(left + size * wide, right), min(top + size * high, bottom)))
