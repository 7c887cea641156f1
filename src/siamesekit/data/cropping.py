"""Crop photos to the box of one animal, which may be turned about its centre."""

from __future__ import annotations

import math

from PIL import Image

from siamesekit.data.photo_files import UnreadableError
from siamesekit.data.photo_geometry import Edges
from siamesekit.data.photo_headers import check_size
from siamesekit.data.records import Box


def cropped(image: Image.Image, edges: Edges, box: Box, size: tuple[int, int]) -> tuple[Image.Image, Edges]:
    """Crop an upright photo to a box: the cropped image, and the edges of the box in it.

    The sides of the box are rounded to whole pixels of the photo, and end where the photo ends. A turned box is
    resampled bilinearly, and is black where it reaches beyond the photo.

    Args:
        image: a decoded image with the photo in it; it may be scaled down.
        edges: edges of the photo in the image.
        box: the box in the photo.
        size: width and height of the photo in pixels, before any scaling.

    Raises:
        UnreadableError: the box is outside the photo, or smaller than a pixel of it.
    """
    x_scale, y_scale = (edges[2] - edges[0]) / size[0], (edges[3] - edges[1]) / size[1]
    if box.rotation % 360:
        return _turned(image, edges, box, size, (x_scale, y_scale))
    within = _within(box, size)
    left, right = (edges[0] + edge * x_scale for edge in within[::2])
    top, bottom = (edges[1] + edge * y_scale for edge in within[1::2])
    outer = (int(left), int(top), min(math.ceil(right), image.width), min(math.ceil(bottom), image.height))
    inner = (left - outer[0], top - outer[1], min(right, outer[2]) - outer[0], min(bottom, outer[3]) - outer[1])
    return image.crop(outer), inner


def shortest_side(box: Box, size: tuple[int, int]) -> float:
    """The shorter side of a box in a photo of this width and height, in pixels; 0 if the box is outside."""
    x, y, width, height = _in_pixels(box, size)
    if not box.rotation % 360:
        width, height = min(x + width, size[0]) - max(x, 0), min(y + height, size[1]) - max(y, 0)
    return max(0, min(width, height))


def _in_pixels(box: Box, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left edge, upper edge, width and height of a box in pixels of a photo of this width and height."""
    across, down = size if box.relative else (1, 1)
    return box.x * across, box.y * down, box.width * across, box.height * down


def _within(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The edges of a box in whole pixels, inside a photo of this width and height."""
    x, y, width, height = _in_pixels(box, size)
    if not (x < size[0] and y < size[1] and x + width > 0 and y + height > 0):
        raise _outside(box, size)
    left, right = max(0, round(x)), min(size[0], round(x + width))
    top, bottom = max(0, round(y)), min(size[1], round(y + height))
    if left >= right or top >= bottom:
        raise UnreadableError(
            f"shows less than one pixel in its box ({_told(box)}): it has {size[0]} × {size[1]} pixels",
            "correct the box in the table",
        )
    return left, top, right, bottom


def _turned(
    image: Image.Image, edges: Edges, box: Box, size: tuple[int, int], scale: tuple[float, float]
) -> tuple[Image.Image, Edges]:
    """The pixels of a turned box, upright."""
    x, y, width, height = _in_pixels(box, size)
    centre = (x + width / 2, y + height / 2)
    angle = math.radians(box.rotation)
    cos, sin = math.cos(angle), math.sin(angle)
    if not _meets(centre, (width, height), cos, sin, size):
        raise _outside(box, size)
    sides = (max(1, round(width * scale[0])), max(1, round(height * scale[1])))
    check_size(*sides)
    middle = (edges[0] + centre[0] * scale[0], edges[1] + centre[1] * scale[1])
    across, down = sides[0] / 2, sides[1] / 2
    matrix = (
        *(cos, -sin, middle[0] - cos * across + sin * down),
        *(sin, cos, middle[1] - sin * across - cos * down),
    )
    crop = image.transform(sides, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return crop, (0, 0, *sides)


def _meets(
    centre: tuple[float, float], sides: tuple[float, float], cos: float, sin: float, size: tuple[int, int]
) -> bool:
    """Whether a turned rectangle and the photo overlap: the axes of neither separate them."""
    width, height = sides
    reach = (abs(width * cos) + abs(height * sin), abs(width * sin) + abs(height * cos))  # sides of its upright hull
    if not all(abs(2 * at - side) < side + long for at, side, long in zip(centre, size, reach, strict=True)):
        return False
    away = (size[0] / 2 - centre[0], size[1] / 2 - centre[1])
    seen = (cos * away[0] + sin * away[1], cos * away[1] - sin * away[0])  # the photo's centre, in the box's axes
    hull = (abs(size[0] * cos) + abs(size[1] * sin), abs(size[0] * sin) + abs(size[1] * cos))
    return all(2 * abs(at) < side + long for at, side, long in zip(seen, sides, hull, strict=True))


def _outside(box: Box, size: tuple[int, int]) -> UnreadableError:
    return UnreadableError(
        f"its box ({_told(box)}) lies outside the photo, which has {size[0]} × {size[1]} pixels",
        "correct the box in the table",
    )


def _told(box: Box) -> str:
    """A box in a message."""
    turned = f", turned by {box.rotation:g}°" if box.rotation else ""
    units = "of the photo" if box.relative else "pixels"
    return f"x {box.x:g}, y {box.y:g}, {box.width:g} × {box.height:g} {units}{turned}"
