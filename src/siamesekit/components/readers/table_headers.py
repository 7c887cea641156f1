"""The columns of a table, before its rows are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from siamesekit.components.readers.excel_tables import excel_table
from siamesekit.components.readers.parquet_tables import parquet_table
from siamesekit.components.readers.tables import Table, csv_table
from siamesekit.data.table_shards import CSV_SUFFIXES, PARQUET_SUFFIXES, first_file_of

_READ: dict[str, Callable[[Path], Table]] = {"csv": csv_table, "excel": excel_table, "parquet": parquet_table}


def header_of(file: Path, reader: str) -> Sequence[str]:
    """The columns of a table that the reader `csv`, `excel` or `parquet` reads, of its first shard if it has several.

    Raises:
        DataError: there is no such table, or it cannot be read.
    """
    return _READ[reader](first_file_of(file, CSV_SUFFIXES + PARQUET_SUFFIXES)).header


def without_individuals(file: Path, reader: str, overrides: Sequence[str]) -> list[str]:
    """Overrides of `[data]` with which a table without a column of individuals is read, all of them unknown.

    Raises:
        DataError: see `header_of`.
    """
    named = any(override.startswith("data.individual=") for override in overrides)
    lacks = not named and "individual" not in header_of(file, reader)
    return [*overrides, *(["data.individual=''"] if lacks else [])]
