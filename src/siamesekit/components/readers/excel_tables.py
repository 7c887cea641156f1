"""Tables of Excel workbooks, all values as text."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime, time
from pathlib import Path
from typing import Any

from siamesekit.components.readers.tables import Row, Table, content_of_table, text_of
from siamesekit.errors import DataError
from siamesekit.wording import first_of, in_one_line, near

SHOWN = 10


def excel_table(file: Path, sheet: str = "") -> Table:
    """The table of a sheet of an Excel workbook.

    Args:
        file: path of the workbook.
        sheet: name of the sheet; empty for the first one.

    Raises:
        MissingDataError: the file does not exist.
        DataError: openpyxl is missing, the file is no Excel workbook, there is no such sheet, or it is empty.
    """
    content = content_of_table(file, "an Excel workbook")
    try:
        import openpyxl
    except ImportError:
        raise DataError(
            f"{file}: reader 'excel' needs openpyxl: pip install 'siamesekit[excel]'; or save the table as CSV"
        ) from None
    try:
        workbook = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        names = [each.title for each in workbook.worksheets]
    except Exception as error:  # openpyxl raises errors of any type on damaged files
        raise DataError(f"{file} is no Excel workbook (.xlsx): {in_one_line(str(error))}") from None
    if sheet and sheet not in names:
        raise DataError(f"{file}: no sheet {sheet!r}{near(sheet, names)}; its sheets: {first_of(names, SHOWN)}")
    if not names:
        raise DataError(f"{file} has no sheet with cells")
    rows = _rows(workbook[sheet or names[0]], file)
    header = next(rows, None)
    if header is None:
        raise DataError(f"{file}, sheet {sheet or names[0]!r} is empty; a table with a header is needed")
    while header.cells and not header.cells[-1]:
        header.cells.pop()
    width = len(header.cells)
    notes = [f"read from sheet {names[0]!r} of {len(names)}: for another one, set data.sheet"]
    return Table(
        str(file),
        header.cells,
        (Row(row.number, _cut(row.cells, width)) for row in rows),
        "row",
        notes if len(names) > 1 and not sheet else (),
    )


def _rows(sheet: Any, file: Path) -> Iterator[Row]:
    """The rows that are not empty, with their numbers in the sheet."""
    try:
        for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
            cells = [_text(value) for value in values]
            if any(cells):
                yield Row(number, cells)
    except Exception as error:  # openpyxl raises errors of any type on damaged files
        raise DataError(f"{file}, sheet {sheet.title!r} cannot be read: {in_one_line(str(error))}") from None


def _cut(cells: list[str], width: int) -> list[str]:
    """The cells of a row without empty ones beyond the header."""
    while len(cells) > width and not cells[-1]:
        cells.pop()
    return cells


def _text(value: Any) -> str:
    """A cell's value as text; a date without a time is a date alone."""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    return text_of(value)
