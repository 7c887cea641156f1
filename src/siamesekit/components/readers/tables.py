"""Tables of rows of text, and tables of CSV files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from siamesekit.errors import DataError, MissingDataError
from siamesekit.files.untrusted import MAX_TABLE_BYTES, read_plain
from siamesekit.wording import first_lines

SHOWN_PROBLEMS = 10


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        number: number of the row for messages, such as that of its first line in a CSV file.
        cells: one text per column, without surrounding spaces; cells at the end may be absent.
    """

    number: int
    cells: list[str]


@dataclass(frozen=True)
class Table:
    """A table with a header, whose rows are read once.

    Attributes:
        name: name of the table in messages.
        header: names of the columns.
        rows: the rows that are not empty.
        row_name: what the number of a row counts, for messages.
    """

    name: str
    header: Sequence[str]
    rows: Iterator[Row]
    row_name: str = "line"


def content_of_table(file: Path, what: str = "a table with a header") -> bytes:
    """The content of a table's file.

    Args:
        file: path of the file.
        what: what the file should be, for a message.

    Raises:
        MissingDataError: the file does not exist.
        DataError: it is a folder, cannot be read or is larger than `MAX_TABLE_BYTES`.
    """
    if file.is_dir():
        raise DataError(
            f'{file} cannot be read: Is a directory; for a folder of photos: reader = "folder", '
            f"root = {json.dumps(str(file))}"
        )
    if not file.exists():
        raise MissingDataError(f"there is no file {file}: put {what} there")
    try:
        return read_plain(file, MAX_TABLE_BYTES)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from None


def text_of(value: Any) -> str:
    """A value as a CSV file would have it: `12` for 12 and for 12.0, an empty text for a missing value.

    The values of a list or a struct are separated by spaces.
    """
    if isinstance(value, str):
        return value.strip()
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    if isinstance(value, dict | list):
        return " ".join(map(text_of, value.values() if isinstance(value, dict) else value))
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def refuse(problems: Sequence[str], name: str) -> None:
    """Refuse a table with problems, all counted, the first ones shown.

    Raises:
        DataError: there are problems.
    """
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise DataError(f"{count} in {name}", first_lines(problems, SHOWN_PROBLEMS))


def csv_table(file: Path, delimiter: str = ",") -> Table:
    """The table of a CSV file in UTF-8, with or without a byte order mark.

    Raises:
        MissingDataError: the file does not exist.
        DataError: the file cannot be read, is not UTF-8, or has no header. Reading the rows raises the same error for
            unbalanced quotes.
    """
    content = content_of_table(file)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{file}, line {line}: not UTF-8; save the table as UTF-8") from None
    rows = _rows(content, delimiter, file)
    header = next(rows, None)
    if header is None:
        raise DataError(f"{file} is empty; a table with a header is needed")
    return Table(str(file), header.cells, rows)


def _rows(content: bytes, delimiter: str, file: Path) -> Iterator[Row]:
    """The rows that are not empty, with the header first."""
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")  # a StringIO takes four times the memory
    reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
    line = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield Row(line, stripped)
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{file}, line {line}: {error}; close all quotes, and double quotes inside a cell") from None
