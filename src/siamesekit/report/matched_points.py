"""A picture of two photos side by side, with lines between the points that they share."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

LONGEST, LEAST = 1400, 480
"""Maximum length in pixels of the longer side of each photo in a picture; height to which lower photos are enlarged."""
GAP, PAPER = 8, (255, 255, 255)
"""Pixels between the photos, and their colour."""
DRAWN = 150
"""Most points that are drawn, evenly chosen; with more lines, nothing is seen of the photos."""
FINE = 2
"""Lines are drawn this many times larger and then scaled down, which makes them smooth."""
TURN = 137.508
"""Degrees of hue from one point to the next, so that neighbours in the list have colours that differ."""


def side_by_side(
    first: NDArray[np.uint8], second: NDArray[np.uint8], points: NDArray[np.float32], longest: int = LONGEST
) -> Image.Image:
    """Draw two photos in equal height, with a dot on each shared point and a line between the two of each pair.

    Args:
        first: uint8 RGB `[height, width, 3]`.
        second: uint8 RGB `[height, width, 3]`.
        points: `[M, 4]`: x and y on the first photo, then on the second, as shares of width and height; at most `DRAWN`
            of them are drawn.
        longest: maximum length in pixels of each photo's longer side.
    """
    left, right = _in_equal_height(first, second, longest)
    canvas = Image.new("RGB", (left.width + GAP + right.width, left.height), PAPER)
    canvas.paste(left, (0, 0))
    canvas.paste(right, (left.width + GAP, 0))
    chosen = points[np.linspace(0, len(points) - 1, min(DRAWN, len(points))).round().astype(np.int64)]
    starts = chosen[:, :2] * left.size
    ends = chosen[:, 2:] * right.size + (left.width + GAP, 0)
    lines = Image.new("RGBA", (FINE * canvas.width, FINE * canvas.height))
    draw = ImageDraw.Draw(lines)
    thick = max(2, round(canvas.height / 160))
    for number, (start, end) in enumerate(zip(FINE * starts, FINE * ends, strict=True)):
        draw.line((*start, *end), fill=(*color(number), 200), width=FINE * thick)
    for number, pair in enumerate(zip(FINE * starts, FINE * ends, strict=True)):
        for x, y in pair:
            radius = FINE * 2 * thick
            edge = x - radius, y - radius, x + radius, y + radius
            draw.ellipse(edge, fill=(*color(number), 255), outline=(0, 0, 0, 255), width=FINE)
    smooth = lines.resize(canvas.size, Image.Resampling.BOX)
    canvas.paste(smooth, mask=smooth)
    return canvas


def color(number: int) -> tuple[int, int, int]:
    """The colour of a point by its number, in RGB."""
    red, green, blue = colorsys.hls_to_rgb(number * TURN % 360 / 360, 0.6, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def _in_equal_height(
    first: NDArray[np.uint8], second: NDArray[np.uint8], longest: int
) -> tuple[Image.Image, Image.Image]:
    """Both photos, `[height, width, 3]`, in the height of the lower one, and no side longer than `longest`."""
    photos = [Image.fromarray(np.ascontiguousarray(each)) for each in (first, second)]
    height = max(LEAST, min(photo.height for photo in photos))
    height = min(longest, height, *(max(1, longest * photo.height // photo.width) for photo in photos))
    left, right = (
        photo.resize((max(1, round(photo.width * height / photo.height)), height), Image.Resampling.LANCZOS)
        for photo in photos
    )
    return left, right
