"""`model.json`, read as what it may be: written by anyone. Every value is checked before anything is built of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Len
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from siamesekit.calibration import includes_guessing, why_guessing
from siamesekit.data.images import Fit
from siamesekit.encoders.head import Head
from siamesekit.errors import ArtifactError, in_one_line, line_of_name
from siamesekit.json_files import read_json
from siamesekit.metrics import Interval
from siamesekit.problems import explain
from siamesekit.signatures import live_parameters, options_model

FORMAT = 1
MAX_BYTES = 1 << 20
"""A `model.json` is a few kilobytes."""
MAX_SIZE = 4096
"""Side of the photos in pixels."""
MAX_LAYERS, MAX_UNITS = 64, 1 << 20
"""Of the head, and of one of its layers."""
MAX_VALUES, MAX_TEXT = 1000, 1000
"""Values in a component's options, and characters in one."""
MAX_NOTES = 20
"""Stand-ins, of which a run has two at most."""


def _few(options: dict[str, Any]) -> dict[str, Any]:
    """Refuse so many or so long options that checking them would take long."""
    for number, value in enumerate(_values(options)):
        if number > MAX_VALUES or (isinstance(value, str) and len(value) > MAX_TEXT):
            raise ValueError(f"must have at most {MAX_VALUES} values of at most {MAX_TEXT} characters")
    return options


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
    """A table of the file: types exact, NaN refused, more keys than these allowed, for notes."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class EncoderTable(_Table):
    """`encoder`: what it is made of, and how its input is scaled, in pixel values."""

    name: Name
    options: Options
    head: Options
    batchnorm: Literal["inference", "train"]
    mean: Annotated[list[Mean], Len(3, 3)]
    std: Annotated[list[Deviation], Len(3, 3)]


class InputTable(_Table):
    """`input`: the photos it takes."""

    size: Annotated[int, Ge(1), Le(MAX_SIZE)]
    fit: Fit


class DistanceTable(_Table):
    """`distance`: a component."""

    name: Name
    options: Options


class RateTable(_Table):
    """A share with its interval."""

    value: Share
    low: Share | None
    high: Share | None


class CrossFitTable(_Table):
    """What the threshold is worth."""

    same_pairs: Count
    different_pairs: Count
    false_accept_rate: RateTable
    false_reject_rate: RateTable
    accuracy: RateTable | None = None

    @property
    def guessing(self) -> str | None:
        """Why verdicts by this threshold may be guessed; None where they are better than that."""
        false_accept, false_reject = self.false_accept_rate.value, self.false_reject_rate.value
        right = 1 - (false_accept + false_reject) / 2
        told = self.accuracy
        accuracy = Interval(right, right, None) if told is None else Interval(told.value, told.low, told.high)
        return why_guessing(accuracy, false_accept, false_reject) if includes_guessing(accuracy) else None


class PointTable(_Table):
    """`operating_point`: threshold and calibration."""

    slope: Annotated[float, Gt(0)]
    intercept: float
    threshold: float
    individuals: Count
    cross_fit: CrossFitTable | None


class StandInTable(_Table):
    """Something that could not be had."""

    what: Text
    wanted: Text
    used: Text
    why: Text
    hint: Text


class Description(_Table):
    """The whole file."""

    format: int
    encoder: EncoderTable
    input: InputTable
    distance: DistanceTable
    operating_point: PointTable | None
    no_threshold: Text | None = None
    weights_sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    stand_ins: Annotated[list[StandInTable], Len(0, MAX_NOTES)] = []


def read_description(file: Path, inside: Path) -> Description:
    """Read `model.json`.

    Args:
        file: the file.
        inside: the folder out of which no link may lead.

    Raises:
        ArtifactError: it is not what this version writes; all problems at once, with their places.
    """
    content = read_json(file, inside, MAX_BYTES)
    shown = line_of_name(str(file))
    if not isinstance(content, dict):
        raise ArtifactError(f"{shown} is damaged: it holds no table; copy the model's folder again")
    written = content.get("format")
    if type(written) is int and written != FORMAT:
        raise ArtifactError(f"{shown} has format {written}, this version reads {FORMAT}; "
                            "install the siamesekit that wrote it, or train again")  # fmt: skip
    try:
        description = Description.model_validate(content)
    except ValidationError as error:
        raise _damaged(shown, "", error) from None
    _check_head(shown, description.encoder.head)
    return description


def _check_head(shown: str, head: Mapping[str, Any]) -> None:
    """The head's options against its signature, and its size."""
    try:
        options_model("head", tuple(live_parameters(Head)[1:])).model_validate(head)
    except ValidationError as error:
        raise _damaged(shown, "encoder.head.", error) from None
    layers = head.get("layers", ())
    if len(layers) > MAX_LAYERS or not all(1 <= units <= MAX_UNITS for units in layers):
        raise ArtifactError(f"{shown} is damaged: encoder.head.layers must be at most {MAX_LAYERS} layers of 1 to "
                            f"{MAX_UNITS:,} units")  # fmt: skip


def _damaged(shown: str, place: str, error: ValidationError) -> ArtifactError:
    """All problems in a line each, the first ten of them."""
    found = error.errors()
    lines = [f"{place}{'.'.join(str(part)[:60] for part in each['loc'])}: {explain({**each, 'loc': ()})}"
             for each in found[:10]]  # fmt: skip
    more = [f"and {len(found) - 10} more"] if len(found) > 10 else []
    return ArtifactError(f"{shown} is damaged; copy the model's folder again, or train again:", [*lines, *more])
