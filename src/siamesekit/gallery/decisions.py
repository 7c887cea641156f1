"""A table of a person's decisions: who is on the photos of a season."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from siamesekit.components.readers.accepted import is_box
from siamesekit.data.records import Box, Record
from siamesekit.data.spreadsheet_cells import text_of_cell
from siamesekit.errors import DataError
from siamesekit.gallery.names import checked_name
from siamesekit.gallery.table_lines import TableForm, read_lines
from siamesekit.wording import line_of_name, near

Word = Literal["same", "new", "unsure", "bad"]
"""A decision: the photo shows an individual of the catalogue, one that is new, or it stays open, or cannot be used."""
COLUMNS = ("query", "name", "photo", "sha256", "box", "decision", "individual", "rejected", "attributes")
"""Columns of the table."""
FORM = TableForm(
    COLUMNS,
    "the decisions that the page of siamesekit match saves",
    "save the decisions again",
    "nothing was changed",
    (",", ";", "\t"),
)
"""The table; the page writes commas, and spreadsheets of many countries semicolons."""
_DIGEST = 64
"""Digits of a fingerprint."""
Read = TypeVar("Read")


@dataclass(frozen=True)
class Decision:
    """A decision on one photo.

    Attributes:
        record: record of the photo; its individual is the one decided on, empty for `unsure` and `bad`.
        sha256: digest of the photo's file.
        word: the decision.
        rejected: names of individuals that the person has seen beside the photo and rejected.
        place: where the decision stands, such as `line 3`, for messages.

    Raises:
        DataError: the decision and the individual do not belong together, or its name is none.
    """

    record: Record
    sha256: str
    word: Word
    rejected: tuple[str, ...]
    place: str

    def __post_init__(self) -> None:
        if checked_individual(self.word, self.record.individual) != self.record.individual:
            raise DataError(f"the name {self.record.individual!r} is not as a catalogue has it; see checked_individual")


def checked_individual(word: str, name: str) -> str:
    """The name that belongs to a decision, as a catalogue has it; empty for `unsure` and `bad`.

    Raises:
        DataError: there is no such decision, the name is none, or there must be none.
    """
    if word not in get_args(Word):
        raise DataError(f"the decision is {word!r}{near(word, get_args(Word))}; expected {', '.join(get_args(Word))}")
    if word in ("same", "new"):
        return checked_name(name)
    if name:
        raise DataError(f"the decision is {word}, so there is no individual, but {name!r} is named")
    return ""


def read_decisions(file: Path) -> list[Decision]:
    """Read a table of decisions, as the page of `siamesekit match` writes it, or a spreadsheet that has opened it.

    Raises:
        DataError: the file is no such table, or lines are wrong; it counts them and shows the first ones.
    """
    decisions = read_lines(file, FORM, lambda row, place: decision_of(_plain(row), place))
    if not decisions:
        raise DataError(f"{line_of_name(str(file))} has no decisions")
    return decisions


def decision_of(row: dict[str, str], place: str) -> Decision:
    """A decision from its cells, by the names of the columns.

    Raises:
        DataError: a cell is wrong.
    """
    word: Word = row["decision"]  # type: ignore[assignment]
    name = checked_individual(word, row["individual"])
    digest = row["sha256"]
    if len(digest) != _DIGEST or not set(digest) <= set("0123456789abcdef"):
        raise DataError(f"sha256 has {_DIGEST} digits 0 … f, not {digest[:80]!r}")
    if not row["photo"]:
        raise DataError("the photo is missing")
    rejected = _json(row["rejected"] or "[]", "rejected", _texts)
    attributes = _json(row["attributes"] or "{}", "attributes", _text_by_name)
    box = _json(row["box"], "box", _box) if row["box"] else None
    record = Record(row["name"] or row["photo"], name, Path(row["photo"]), box=box, attributes=attributes)
    return Decision(record, digest, word, tuple(rejected), place)


def _plain(row: dict[str, str]) -> dict[str, str]:
    """The cells as they were before they were made safe for spreadsheets."""
    return {name: text_of_cell(cell) for name, cell in row.items()}


def _json(cell: str, column: str, read: Callable[[Any], Read]) -> Read:
    with suppress(ValueError, TypeError, RecursionError):
        value = json.loads(cell)
        json.dumps(value, ensure_ascii=False).encode()  # no halves of characters, which are no text
        return read(value)
    raise DataError(f"{column} is damaged: {line_of_name(cell[:80])}")


def _box(value: Any) -> Box:
    box = Box(**value)
    if not is_box(box) or not isinstance(box.relative, bool):
        raise ValueError("not a box")
    return box


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError("not a list of texts")
    return value


def _text_by_name(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError("not texts by name")
    return value
