"""A table of a person's decisions: who is on the photos of a season."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from siamesekit.artifact.embedding_files import text_of_cell
from siamesekit.components.readers.accepted import is_box
from siamesekit.data.records import Box, Record
from siamesekit.errors import DataError
from siamesekit.files.untrusted import MAX_TABLE_BYTES, read_plain
from siamesekit.gallery.enrolling import SHOWN
from siamesekit.gallery.names import checked_name
from siamesekit.wording import and_more, line_of_name, near

Word = Literal["same", "new", "unsure", "bad"]
"""A decision: the photo shows an individual of the catalogue, one that is new, or it stays open, or cannot be used."""
COLUMNS = ("query", "name", "photo", "sha256", "box", "decision", "individual", "rejected", "attributes")
"""Columns of the table."""
DELIMITERS = (",", ";", "\t")
"""Characters that may separate the cells; the page writes commas."""
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
    shown = line_of_name(str(file))
    try:
        text = read_plain(file, MAX_TABLE_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{shown} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{shown} is not UTF-8; save it as CSV (UTF-8)") from None
    line = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=line.count)  # spreadsheets of many countries write semicolons
    rows = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    decisions: list[Decision] = []
    problems: list[str] = []
    try:
        header = next(rows, [])
        missing = [column for column in COLUMNS if column not in header]
        if missing:
            raise DataError(
                f"{shown} has no column {missing[0]!r}: expected the decisions that the page of siamesekit match saves"
            )
        twice = [column for column in COLUMNS if header.count(column) > 1]
        if twice:
            raise DataError(f"{shown} has several columns {twice[0]!r}: keep one of them")
        for cells in rows:
            if not any(cells):
                continue
            place = f"line {rows.line_num}"
            if len(cells) != len(header):
                problems.append(f"{place}: {len(cells)} cells, and the header has {len(header)}")
                continue
            row = {name: text_of_cell(cell) for name, cell in zip(header, cells, strict=True)}
            try:
                decisions.append(decision_of(row, place))
            except DataError as error:
                problems.append(f"{place}: {error}")
    except csv.Error as error:
        raise DataError(f"{shown}, line {rows.line_num}: {error}; save the decisions again") from None
    refuse(problems, f"{shown}: {len(problems)} lines are wrong; nothing was changed:")
    if not decisions:
        raise DataError(f"{shown} has no decisions")
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


def refuse(problems: Sequence[str], message: str) -> None:
    """Refuse a table with wrong lines.

    Raises:
        DataError: there are some; it shows the first ones.
    """
    if problems:
        more = and_more(len(problems), SHOWN)
        raise DataError(message, [*problems[:SHOWN], *([f"… {more}"] if more else [])])


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
