"""Boxes as text in a table: `x y w h`."""

from __future__ import annotations

import math
import re

from siamesekit.data.records import Box

_SEPARATORS = str.maketrans("[](){},;", "        ")
_BRACKETS = str.maketrans("[](){};", "       ")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+(,\d+)?")
_SHOWN = 60
"""Maximum number of characters of a cell that are shown."""
LARGEST_SHARE = 1.5
"""A relative box with a longer side is taken for one in pixels."""


def box_of(text: str, relative: bool = False, rotation: str = "", margin: float = 0.0) -> Box | None:
    """The box that a cell describes; None for an empty cell.

    Args:
        text: left edge, upper edge, width and height, separated by spaces or commas, with or without brackets. Numbers
            that are separated by spaces may have decimal commas.
        relative: whether they are shares of the photo's sides, instead of pixels.
        rotation: degrees by which the box is turned clockwise about its centre; empty for 0.
        margin: share of the box's width and height that is added on each side.

    Raises:
        ValueError: the text is no box, or a box that shows nothing of any photo; it says why, and what to do.
    """
    numbers = _numbers(text)
    degrees = _degrees(rotation)
    if not numbers:
        if degrees:
            raise ValueError(f"rotation {rotation!r} without a box")
        return None
    try:
        x, y, width, height = map(float, numbers)
    except ValueError:
        found = f"{len(numbers)} values" if len(numbers) != 4 else "a value that is no number"
        raise ValueError(f"box {_shown(text)} has {found}; expected four numbers: x y width height") from None
    if not math.isfinite(x + y + width + height):
        raise ValueError(f"box {_shown(text)} has a value that is not finite; expected four numbers: x y width height")
    if width <= 0 or height <= 0:
        raise ValueError(f"box {_shown(text)} has no area: width and height must be above 0")
    if relative and max(width, height) > LARGEST_SHARE:
        raise ValueError(f'box {_shown(text)} is larger than the photo: if it is in pixels, box_units = "absolute"')
    if not relative and min(width, height) < 1:
        raise ValueError(f'box {_shown(text)} has less than a pixel: if it is in shares, box_units = "relative"')
    if not degrees % 360 and (x + width <= 0 or y + height <= 0 or (relative and (x >= 1 or y >= 1))):
        raise ValueError(f"box {_shown(text)} lies outside the photo")
    across, down = margin * width, margin * height
    return Box(x - across, y - down, width + 2 * across, height + 2 * down, relative, degrees)


def _numbers(text: str) -> list[str]:
    """The numbers of a cell; those of four numbers that are separated by spaces may have decimal commas."""
    apart = text.translate(_BRACKETS).split()
    if "," not in text:
        return apart
    if len(apart) == 4 and all(map(_DECIMAL_COMMA.fullmatch, apart)):
        return [number.replace(",", ".") for number in apart]
    return text.translate(_SEPARATORS).split()


def _degrees(text: str) -> float:
    if not text:
        return 0.0
    try:
        degrees = float(text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text)
    except ValueError:
        degrees = math.nan
    if not math.isfinite(degrees):
        raise ValueError(f"rotation {_shown(text)} is no number of degrees")
    return degrees


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …")
