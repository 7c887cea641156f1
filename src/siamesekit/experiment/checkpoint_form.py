"""The form of a checkpoint's content beside the states of the trained parts, checked before a run continues from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any

from annotated_types import Ge
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from torch import Tensor

from siamesekit.engine.epoch import EpochResult
from siamesekit.engine.random_state import all_left_as_found, restore_random_state
from siamesekit.registry.component_faults import told

RENAMED = {"loss": "train_loss", "accuracy": "train_accuracy"}
"""Keys of a line in metrics.jsonl, by attributes of `EpochResult` with other names."""
LINE = frozenset(RENAMED.get(each.name, each.name) for each in fields(EpochResult)) | {"test_loss", "test_accuracy"}
"""Keys of each line in metrics.jsonl."""
Count = Annotated[int, Ge(0)]
Seconds = Annotated[float, Ge(0)]


class _Midway(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    epoch: Annotated[int, Ge(1)]
    batches: Count
    rows: list[tuple[float, float, float, float, float, float, float]]
    images_asked: Count
    empty: Count
    any_loss: bool
    any_triplet: bool
    seconds: Seconds
    random: dict[str, Any]


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", arbitrary_types_allowed=True)

    lines: list[dict[str, float | None]]
    best: float
    best_epoch: Count
    best_sha256: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]
    spent: dict[str, Seconds]
    expected: Tensor
    midway: _Midway | None


NEEDED = frozenset(_Form.model_fields)
"""Entries that a checkpoint must have."""


def problem_of(state: Mapping[str, Any], expected: Tensor) -> str:
    """What is wrong with the content of a checkpoint, in words; an empty string if nothing is.

    Args:
        state: loaded content of the checkpoint, with all entries of `NEEDED`.
        expected: a tensor `[N]` for N photos, with the type and shape of the entry `expected`.
    """
    try:
        form = _Form.model_validate(dict(state))
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    for number, line in enumerate(form.lines, 1):
        if not line.keys() >= LINE or line["epoch"] != number or line["seconds"] is None:
            return f"lines.{number - 1}: is not the line of epoch {number}"
    if form.best_epoch > len(form.lines):
        return f"best_epoch: epoch {form.best_epoch} is not done yet"
    if form.expected.dtype != expected.dtype or form.expected.shape != expected.shape:
        return "expected: is not one boolean per photo"
    if form.midway is None:
        return ""
    if form.midway.epoch != len(form.lines) + 1 or form.midway.batches != len(form.midway.rows):
        return "midway: does not belong to the epoch after the complete ones"
    try:
        with all_left_as_found():
            restore_random_state(form.midway.random)
    except Exception as error:  # torch, Python and NumPy each raise other errors
        return f"midway.random: {told(error)}"
    return ""
