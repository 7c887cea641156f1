"""`model.json`, which may come from anyone: every value is checked before anything is built from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ValidationError

from siamesekit.artifact.tables import (
    MAX_BYTES,
    MAX_NOTES,
    CurveTable,
    DistanceTable,
    Input,
    Name,
    Options,
    Sha256,
    StandInTable,
    Text,
    damaged,
    other_format,
)
from siamesekit.components.encoders.head import Head
from siamesekit.components.encoders.pooling import Pooling
from siamesekit.components.encoders.views import VIEWS, View
from siamesekit.errors import ArtifactError
from siamesekit.evaluation.cross_fit import includes_guessing, why_guessing
from siamesekit.evaluation.intervals import Interval
from siamesekit.files.checked_table import CheckedTable, Length, TableError, above, at_least, at_most
from siamesekit.files.untrusted_json import read_json
from siamesekit.registry.problems import explain
from siamesekit.registry.signatures import live_parameters, options_model
from siamesekit.wording import line_of_name

MAX_LAYERS, MAX_UNITS = 64, 1 << 20
"""Maximum number of layers of the head, and of units per layer."""
COPY_AGAIN = "copy the model's folder again, or train again"

Share = Annotated[float, at_least(0), at_most(1)]
Count = Annotated[int, at_least(0)]
Mean = Annotated[float, at_least(-1e6), at_most(1e6)]
Deviation = Annotated[float, above(1e-6), at_most(1e6)]


class EncoderTable(CheckedTable):
    """`encoder`: its components, and mean and deviation of its input in pixel values."""

    name: Name
    options: Options
    head: Options
    batchnorm: Literal["inference", "train"]
    pooling: Pooling = "default"
    mean: Annotated[list[Mean], Length(3, 3)]
    std: Annotated[list[Deviation], Length(3, 3)]


class RateTable(CheckedTable):
    """A share with its interval."""

    value: Share
    low: Share | None
    high: Share | None


class CrossFitTable(CheckedTable):
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


class PointTable(CurveTable):
    """`operating_point`: threshold and calibration."""

    individuals: Count
    cross_fit: CrossFitTable | None


class Description(CheckedTable):
    """The content of `model.json`."""

    format: int
    encoder: EncoderTable
    input: Input
    distance: DistanceTable
    operating_point: PointTable | None
    no_threshold: Text | None = None
    tta: Annotated[list[View], Length(0, len(VIEWS))] = []  # noqa: RUF012 - a table copies it
    weights_sha256: Sha256
    stand_ins: Annotated[list[StandInTable], Length(0, MAX_NOTES)] = []  # noqa: RUF012
    weights: Annotated[dict[Name, Text], Length(0, MAX_NOTES)] = {}  # noqa: RUF012
    preprocessing_note: Text | None = None


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
    if found := other_format(content.get("format")):
        raise ArtifactError(f"{shown} {found}; install the siamesekit that wrote it, or train again")
    try:
        description = Description.of(content)
    except TableError as error:
        raise damaged(shown, error.problems, COPY_AGAIN) from None
    _check_head(shown, description.encoder.head)
    return description


def _check_head(shown: str, head: Mapping[str, Any]) -> None:
    """Check the options of the head against its signature, and its size."""
    try:
        options_model("head", tuple(live_parameters(Head)[1:])).model_validate(head)
    except ValidationError as error:
        problems = [(("encoder", "head", *each["loc"]), explain({**each, "loc": ()})) for each in error.errors()]
        raise damaged(shown, problems, COPY_AGAIN) from None
    layers = head.get("layers", ())
    if not 0 <= head.get("projection", 0) <= MAX_UNITS:
        raise ArtifactError(f"{shown} is damaged: encoder.head.projection must be from 0 to {MAX_UNITS:,} units")
    if len(layers) > MAX_LAYERS or not all(1 <= units <= MAX_UNITS for units in layers):
        raise ArtifactError(
            f"{shown} is damaged: encoder.head.layers must be at most {MAX_LAYERS} layers of 1 to {MAX_UNITS:,} units"
        )
