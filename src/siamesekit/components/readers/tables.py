"""Tables of rows of text, and tables of CSV files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from siamesekit.data.spreadsheet_cells import text_of_shared_cell
from siamesekit.data.table_text import as_utf8, lines_of_cells
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
        notes: messages on how the table was read.
    """

    name: str
    header: Sequence[str]
    rows: Iterator[Row]
    row_name: str = "line"
    notes: Sequence[str] = ()

    def place(self, number: int) -> str:
        """The place of a row in messages, such as `line 5`."""
        return f"{self.row_name} {number}"


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


def refuse(problems: Sequence[str], name: str, count: int | None = None) -> None:
    """Refuse a table with problems, all counted, the first ones shown.

    Args:
        problems: a line for each problem, and hints after them.
        name: name of the table.
        count: number of problems; by default that of the lines.

    Raises:
        DataError: there are problems.
    """
    if problems:
        own = problems[:count]
        raise DataError(f"{counted(own)} in {name}", [*first_lines(own, SHOWN_PROBLEMS), *problems[len(own) :]])


def counted(problems: Sequence[str]) -> str:
    """The number of problems, in words."""
    return f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"


def csv_table(file: Path, delimiter: str = "auto", shared: bool = False) -> Table:
    """The table of a CSV file in UTF-8 or UTF-16, with or without a byte order mark, or in Windows-1252.

    A first line `sep=;`, as Excel writes it, names the delimiter.

    Args:
        file: path of the file.
        delimiter: separator of cells; `auto`: the one that divides the header into most columns.
        shared: whether programs exchange such tables: apostrophes that keep spreadsheets from computing a cell are
            removed.

    Raises:
        MissingDataError: the file does not exist.
        DataError: the file cannot be read, is in another encoding, or has no header. Reading the rows raises the same
            error for unbalanced quotes.
    """
    content, notes = as_utf8(content_of_table(file), file)
    rows = _rows(content, delimiter, file)
    if shared:
        rows = (Row(number, [text_of_shared_cell(cell) for cell in cells]) for number, cells in rows)
    header = next(rows, None)
    if header is None:
        raise DataError(f"{file} is empty; a table with a header is needed")
    return Table(str(file), header.cells, rows, notes=tuple(notes))


def _rows(content: bytes, delimiter: str, file: Path) -> Iterator[Row]:
    """The rows that are not empty, with the header first."""
    try:
        for line, cells in lines_of_cells(content, delimiter):
            yield Row(line, cells)
    except ValueError as error:
        line, reason = error.args
        raise DataError(f"{file}, line {line}: {reason}; close all quotes, and double quotes inside a cell") from None
