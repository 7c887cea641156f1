"""The header and the first rows of a table, to see what it is."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from siamesekit.config.reader_choice import SHARD_READER_OF, reader_of_table
from siamesekit.data.table_shards import first_file_of
from siamesekit.data.table_text import as_utf8, lines_of_cells
from siamesekit.errors import DataError
from siamesekit.files.untrusted import MAX_TABLE_BYTES, read_plain

ROWS = 400
"""Most rows that are looked at."""


@dataclass(frozen=True)
class TableHead:
    """The beginning of a table.

    Attributes:
        file: the table.
        header: names of its columns.
        rows: its first rows, as long as the header.
    """

    file: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, name: str) -> list[str]:
        """The cells of a column."""
        place = self.header.index(name)
        return [row[place] for row in self.rows]


def table_head(file: Path) -> TableHead | None:
    """The beginning of a table, or of its first shard; None if it cannot be read, which its reader explains."""
    try:
        reader = {"csv": _csv, "excel": _excel, "parquet": _parquet}[str(reader_of_table(file))]
        rows = reader(first_file_of(file, tuple(SHARD_READER_OF)))
    except Exception:  # libraries raise errors of any type; the reader's error says more
        return None
    if not rows:
        return None
    header, *others = rows
    width = len(header)
    return TableHead(file, tuple(header), tuple(tuple((row + [""] * width)[:width]) for row in others))


def _csv(file: Path) -> list[list[str]]:
    content = as_utf8(read_plain(file, MAX_TABLE_BYTES), file)[0]
    return [cells for _, cells in islice(lines_of_cells(content), 1 + ROWS)]


def _excel(file: Path) -> list[list[str]]:
    import openpyxl

    workbook = openpyxl.load_workbook(io.BytesIO(read_plain(file, MAX_TABLE_BYTES)), read_only=True, data_only=True)
    rows = (list(map(_text, row)) for row in workbook.worksheets[0].iter_rows(values_only=True))
    return list(islice((row for row in rows if any(row)), 1 + ROWS))


def _parquet(file: Path) -> list[list[str]]:
    import pyarrow
    import pyarrow.parquet

    opened = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(read_plain(file, MAX_TABLE_BYTES)))
    first = next(opened.iter_batches(ROWS)).to_pylist()
    return [list(opened.schema_arrow.names), *(list(map(_text, row.values())) for row in first)]


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, dict | list):
        return " ".join(map(_text, value.values() if isinstance(value, dict) else value))
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def refuse_without_library(file: Path) -> None:
    """Refuse a table whose library is missing.

    Raises:
        DataError: it is an Excel workbook, and openpyxl is missing.
    """
    if file.suffix.lower() == ".xlsx":
        try:
            import openpyxl  # noqa: F401
        except ImportError:
            raise DataError(
                f"{file} needs openpyxl: pip install 'siamesekit[excel]'; or save the table as CSV"
            ) from None
