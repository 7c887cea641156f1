"""Tables that a person fills in: read line by line, and refused as a whole with the lines that are wrong."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from siamesekit.errors import DataError
from siamesekit.files.untrusted import MAX_TABLE_BYTES, read_plain
from siamesekit.wording import and_more, line_of_name

SHOWN = 10
"""Lines shown of a list of problems."""
Item = TypeVar("Item")


@dataclass(frozen=True)
class TableForm:
    """What a table must look like.

    Attributes:
        columns: columns that it must have, once each.
        expected: what is expected, after "has no column …: ".
        save: how to make it anew, after an error of the format.
        kept: what was left as it was, where lines are wrong, such as `nothing was changed`.
        delimiters: characters that may separate the cells.
    """

    columns: tuple[str, ...]
    expected: str
    save: str
    kept: str
    delimiters: tuple[str, ...] = (",",)


def read_lines(file: Path, form: TableForm, read: Callable[[dict[str, str], str], Item]) -> list[Item]:
    """Read each line of a table that is not empty.

    Args:
        file: the table, UTF-8 with or without a byte order mark.
        form: what it must look like.
        read: makes something of the cells by name and the line, such as `line 3`; it raises `DataError` if a cell is
            wrong.

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
    delimiter = max(form.delimiters, key=text.partition("\n")[0].count)
    rows = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    items: list[Item] = []
    problems: list[str] = []
    try:
        header = next(rows, [])
        for column in form.columns:
            if column not in header:
                raise DataError(f"{shown} has no column {column!r}: expected {form.expected}")
        for column in form.columns:
            if header.count(column) > 1:
                raise DataError(f"{shown} has several columns {column!r}: keep one of them")
        for cells in rows:
            if not any(cells):
                continue
            place = f"line {rows.line_num}"
            if len(cells) != len(header):
                problems.append(f"{place}: {len(cells)} cells, and the header has {len(header)}")
                continue
            try:
                items.append(read(dict(zip(header, cells, strict=True)), place))
            except DataError as error:
                problems.append(f"{place}: {error}")
    except csv.Error as error:
        raise DataError(f"{shown}, line {rows.line_num}: {error}; {form.save}") from None
    refuse(problems, f"{shown}: {len(problems)} lines are wrong; {form.kept}:")
    return items


def refuse(problems: Sequence[str], message: str) -> None:
    """Refuse what has problems.

    Raises:
        DataError: there are some; it shows the first ones.
    """
    if problems:
        more = and_more(len(problems), SHOWN)
        raise DataError(message, [*problems[:SHOWN], *([f"… {more}"] if more else [])])
