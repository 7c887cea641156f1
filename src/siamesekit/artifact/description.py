"""`model.json`, which may come from anyone: every value is checked before anything is built from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Len
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from siamesekit.components.encoders.head import Head
from siamesekit.components.encoders.pooling import Pooling
from siamesekit.components.encoders.views import VIEWS, View
from siamesekit.data.photo_geometry import Fit
from siamesekit.data.photo_reading import Depth, Reading, Truncated
from siamesekit.errors import ArtifactError
from siamesekit.evaluation.cross_fit import includes_guessing, why_guessing
from siamesekit.evaluation.intervals import Interval
from siamesekit.files.untrusted_json import read_json
from siamesekit.registry.problems import explain
from siamesekit.registry.signatures import live_parameters, options_model
from siamesekit.wording import in_one_line, line_of_name

FORMAT = 1
MAX_BYTES = 1 << 20
"""Maximum size of a `model.json` in bytes; a usual one has a few kilobytes."""
MAX_SIZE = 4096
"""Maximum side of the images in pixels."""
MAX_LAYERS, MAX_UNITS = 64, 1 << 20
"""Maximum number of layers of the head, and of units per layer."""
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
Share = Annotated[float, Ge(0), Le(1)]
Count = Annotated[int, Ge(0)]
Mean = Annotated[float, Ge(-1e6), Le(1e6)]
Deviation = Annotated[float, Gt(1e-6), Le(1e6)]


class _Table(BaseModel):
    """A table of the file: exact types, no NaN or infinity; additional keys are allowed, for notes."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class EncoderTable(_Table):
    """`encoder`: its components, and mean and deviation of its input in pixel values."""

    name: Name
    options: Options
    head: Options
    batchnorm: Literal["inference", "train"]
    pooling: Pooling = "default"
    mean: Annotated[list[Mean], Len(3, 3)]
    std: Annotated[list[Deviation], Len(3, 3)]


class InputTable(_Table):
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


class DistanceTable(_Table):
    """`distance`: name and options of the component."""

    name: Name
    options: Options


class RateTable(_Table):
    """A share with its interval."""

    value: Share
    low: Share | None
    high: Share | None


class CrossFitTable(_Table):
    """Error rates of the threshold."""

    same_pairs: Count
    different_pairs: Count
    false_accept_rate: RateTable
    false_reject_rate: RateTable
    accuracy: RateTable | None = None

    @property
    def guessing(self) -> str | None:
        """Message if verdicts by this threshold may be no better than guessing, else None."""
        false_accept, false_reject = self.false_accept_rate.value, self.false_reject_rate.value
        right = 1 - (false_accept + false_reject) / 2
        rate = self.accuracy
        accuracy = Interval(right, right, None) if rate is None else Interval(rate.value, rate.low, rate.high)
        return why_guessing(accuracy, false_accept, false_reject) if includes_guessing(accuracy) else None


class PointTable(_Table):
    """`operating_point`: threshold and calibration."""

    slope: Annotated[float, Gt(0)]
    intercept: float
    threshold: float
    individuals: Count
    cross_fit: CrossFitTable | None


class StandInTable(_Table):
    """A stand-in for unavailable data or weights."""

    what: Text
    wanted: Text
    used: Text
    why: Text
    hint: Text


class Description(_Table):
    """The content of `model.json`."""

    format: int
    encoder: EncoderTable
    input: InputTable
    distance: DistanceTable
    operating_point: PointTable | None
    no_threshold: Text | None = None
    tta: Annotated[list[View], Len(0, len(VIEWS))] = []
    weights_sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    stand_ins: Annotated[list[StandInTable], Len(0, MAX_NOTES)] = []


def read_description(file: Path, inside: Path) -> Description:
    """Read and check `model.json`.

    Args:
        file: path of the file.
        inside: folder that must contain the file after links are resolved.

    Raises:
        ArtifactError: the file is unreadable, damaged or of another format; it lists all problems with their places.
    """
    content = read_json(file, inside, MAX_BYTES)
    shown = line_of_name(str(file))
    if not isinstance(content, dict):
        raise ArtifactError(f"{shown} is damaged: it is not a JSON object; copy the model's folder again")
    written = content.get("format")
    if type(written) is int and written != FORMAT:
        raise ArtifactError(
            f"{shown} has format {written}, this version reads {FORMAT}; "
            "install the siamesekit that wrote it, or train again"
        )
    try:
        description = Description.model_validate(content)
    except ValidationError as error:
        raise _damaged(shown, "", error) from None
    _check_head(shown, description.encoder.head)
    return description


def _check_head(shown: str, head: Mapping[str, Any]) -> None:
    """Check the options of the head against its signature, and its size."""
    try:
        options_model("head", tuple(live_parameters(Head)[1:])).model_validate(head)
    except ValidationError as error:
        raise _damaged(shown, "encoder.head.", error) from None
    layers = head.get("layers", ())
    if not 0 <= head.get("projection", 0) <= MAX_UNITS:
        raise ArtifactError(f"{shown} is damaged: encoder.head.projection must be from 0 to {MAX_UNITS:,} units")
    if len(layers) > MAX_LAYERS or not all(1 <= units <= MAX_UNITS for units in layers):
        raise ArtifactError(
            f"{shown} is damaged: encoder.head.layers must be at most {MAX_LAYERS} layers of 1 to {MAX_UNITS:,} units"
        )


def _damaged(shown: str, place: str, error: ValidationError) -> ArtifactError:
    """Error with a line for each of the first ten problems."""
    found = error.errors()
    lines = [
        f"{place}{'.'.join(str(part)[:60] for part in each['loc'])}: {explain({**each, 'loc': ()})}"
        for each in found[:10]
    ]
    more = [f"and {len(found) - 10} more"] if len(found) > 10 else []
    return ArtifactError(f"{shown} is damaged; copy the model's folder again, or train again:", [*lines, *more])
