"""The columns of a table, before its rows are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from siamesekit.components.readers.excel_tables import excel_table
from siamesekit.components.readers.parquet_tables import parquet_table
from siamesekit.components.readers.tables import Table, csv_table
from siamesekit.data.table_shards import CSV_SUFFIXES, PARQUET_SUFFIXES, first_file_of
from siamesekit.data.table_text import DELIMITERS


def header_of(file: Path, reader: str, options: Mapping[str, Any]) -> Sequence[str]:
    """The columns of a table, of its first shard if it has several.

    Args:
        file: the table, or the folder or pattern of its shards.
        reader: `csv`, `excel` or `parquet`.
        options: options of the reader, of which `delimiter` and `sheet` count here. The reader itself refuses others.

    Raises:
        DataError: there is no such table, or it cannot be read.
    """
    delimiter, sheet = options.get("delimiter"), options.get("sheet")
    divided = str(delimiter) if delimiter in DELIMITERS else "auto"
    read: dict[str, Callable[[Path], Table]] = {
        "csv": lambda first: csv_table(first, divided),
        "excel": lambda first: excel_table(first, sheet if isinstance(sheet, str) else ""),
        "parquet": parquet_table,
    }
    return read[reader](first_file_of(file, CSV_SUFFIXES + PARQUET_SUFFIXES)).header


def without_individuals(file: Path, reader: str, options: Mapping[str, Any]) -> list[str]:
    """Overrides of `[data]` with which a table without a column of individuals is read, all of them unknown.

    There are none if the table has such a column, or an option names it.

    Raises:
        DataError: see `header_of`.
    """
    lacks = "individual" not in options and "individual" not in header_of(file, reader, options)
    return ["data.individual=''"] if lacks else []
