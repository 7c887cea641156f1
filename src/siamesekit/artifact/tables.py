"""Tables of a saved model's description that need no network: its input, distance, operating point and stand-ins.

A description may come from anyone, so every value is checked. Nothing here imports torch, for `siamesekit.runtime`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from siamesekit.data.photo_geometry import Fit
from siamesekit.data.photo_reading import LEAST_SHARE, PLAIN, Depth, Reading, Resampling, Truncated
from siamesekit.errors import ArtifactError
from siamesekit.files.checked_table import CheckedTable, Length, Place, above, at_least, at_most
from siamesekit.wording import in_one_line, shown

MAX_BYTES = 1 << 20
"""Maximum size of a `model.json` in bytes; a usual one has a few kilobytes."""
MAX_SIZE = 4096
"""Maximum side of the images in pixels."""
MAX_VALUES, MAX_TEXT = 1000, 1000
"""Maximum number of values in a component's options, and of characters per value."""
MAX_NOTES = 20
"""Maximum number of stand-ins; a run has at most two."""


def _few(options: dict[str, Any]) -> dict[str, Any]:
    """Refuse options that are too many or too long to check quickly."""
    for number, value in enumerate(_values(options)):
        if number > MAX_VALUES or (isinstance(value, str) and len(value) > MAX_TEXT):
            raise ValueError(f"must have at most {MAX_VALUES} values of at most {MAX_TEXT} characters")
    return options


def _ascending(bounds: list[float]) -> list[float]:
    """Refuse a range whose end is below its beginning."""
    if bounds[0] > bounds[1]:
        raise ValueError("must be the smallest and the largest value")
    return bounds


def _values(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _values(inner)


def _sha256(digest: str) -> str:
    """Refuse what is not a SHA-256."""
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError(f"must be a SHA-256 of 64 digits 0 … f, not {shown(digest)}")
    return digest


Name = Annotated[str, Length(1, 200)]
Options = Annotated[dict[str, Any], _few]
Text = Annotated[str, Length(0, 10 * MAX_TEXT), in_one_line]
Sha256 = Annotated[str, _sha256]


class InputTable(CheckedTable):
    """`input`: size of the images, how photos are made square and resized, and how their files are decoded."""

    size: Annotated[int, at_least(1), at_most(MAX_SIZE)]
    fit: Fit
    depth: Depth = "full"
    value_range: Annotated[list[float], Length(2, 2), _ascending] | None = None
    truncated: Truncated = "refuse"
    max_megapixels: Annotated[int, at_least(1), at_most(1000)] = 100
    resampling: Resampling = "bilinear"
    crop_share: Annotated[float, at_least(LEAST_SHARE), at_most(1)] | None = None

    @property
    def reading(self) -> Reading:
        """How photos are decoded and resized."""
        bounds = None if self.value_range is None else (self.value_range[0], self.value_range[1])
        return Reading(self.depth, bounds, self.truncated, self.max_megapixels, self.resampling, self.crop_share)


def _cropped(table: InputTable) -> InputTable:
    """Refuse a share of what is not cropped."""
    if table.crop_share is not None and table.fit != "crop":
        raise ValueError(f'a crop_share needs the fit "crop", not {shown(table.fit)}')
    return table


Input = Annotated[InputTable, _cropped]
FORMATS = (1, 2)
"""Formats that are read. 2 may have a resampling or a crop_share, which a reader of 1 would pass over."""


def format_of(reading: Reading) -> int:
    """The format in which a model that reads photos like this is described: the oldest that can tell it."""
    usual = (reading.resampling, reading.crop_share) == (PLAIN.resampling, PLAIN.crop_share)
    return 1 if usual else 2


def other_format(written: Any) -> str | None:
    """What is said of a description of a format that is not read; None if it is read, or is no number."""
    if type(written) is not int or written in FORMATS:
        return None
    return f"has format {written}, this version reads {' and '.join(map(str, FORMATS))}"


class DistanceTable(CheckedTable):
    """`distance`: name and options of the component."""

    name: Name
    options: Options


class CurveTable(CheckedTable):
    """`operating_point`: the threshold, and the curve of the similarity."""

    slope: Annotated[float, above(0)]
    intercept: float
    threshold: float


class StandInTable(CheckedTable):
    """A stand-in for unavailable data or weights."""

    what: Text
    wanted: Text
    used: Text
    why: Text
    hint: Text


def damaged(where: str, problems: Sequence[tuple[Place, str]], advice: str) -> ArtifactError:
    """Error with a line for each of the first ten problems."""
    lines = [f"{'.'.join(str(part)[:60] for part in place)}: {problem}" for place, problem in problems[:10]]
    more = [f"and {len(problems) - 10} more"] if len(problems) > 10 else []
    return ArtifactError(f"{where} is damaged; {advice}:", [*lines, *more])
