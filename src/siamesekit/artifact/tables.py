"""Tables of a saved model's description that need no network: its input, distance, operating point and stand-ins.

A description may come from anyone, so every value is checked. Nothing here imports torch, for `siamesekit.runtime`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Len
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from siamesekit.data.photo_geometry import Fit
from siamesekit.data.photo_reading import Depth, Reading, Truncated
from siamesekit.errors import ArtifactError
from siamesekit.wording import in_one_line

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


Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Options = Annotated[dict[str, Any], AfterValidator(_few)]
Text = Annotated[str, StringConstraints(max_length=10 * MAX_TEXT), AfterValidator(in_one_line)]


class Table(BaseModel):
    """A table of the file: exact types, no NaN or infinity; additional keys are allowed, for notes."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class InputTable(Table):
    """`input`: size of the images, how photos are made square, and how their files are decoded."""

    size: Annotated[int, Ge(1), Le(MAX_SIZE)]
    fit: Fit
    depth: Depth = "full"
    value_range: Annotated[list[float], Len(2, 2), AfterValidator(_ascending)] | None = None
    truncated: Truncated = "refuse"
    max_megapixels: Annotated[int, Ge(1), Le(1000)] = 100

    @property
    def reading(self) -> Reading:
        """How photo files are decoded."""
        bounds = None if self.value_range is None else (self.value_range[0], self.value_range[1])
        return Reading(self.depth, bounds, self.truncated, self.max_megapixels)


class DistanceTable(Table):
    """`distance`: name and options of the component."""

    name: Name
    options: Options


class CurveTable(Table):
    """`operating_point`: the threshold, and the curve of the similarity."""

    slope: Annotated[float, Gt(0)]
    intercept: float
    threshold: float


class StandInTable(Table):
    """A stand-in for unavailable data or weights."""

    what: Text
    wanted: Text
    used: Text
    why: Text
    hint: Text


def damaged(shown: str, error: ValidationError, advice: str, place: str = "") -> ArtifactError:
    """Error with a line for each of the first ten problems."""
    from siamesekit.registry.problems import explain  # here, because the registries take time to import

    found = error.errors()
    lines = [
        f"{place}{'.'.join(str(part)[:60] for part in each['loc'])}: {explain({**each, 'loc': ()})}"
        for each in found[:10]
    ]
    more = [f"and {len(found) - 10} more"] if len(found) > 10 else []
    return ArtifactError(f"{shown} is damaged; {advice}:", [*lines, *more])
