"""Tables of Parquet files, all values as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from siamesekit.components.readers.tables import Row, Table, content_of_table, text_of
from siamesekit.errors import DataError

_BATCH = 10_000
"""Rows that are converted at a time."""


def parquet_table(file: Path) -> Table:
    """The table of a Parquet file.

    Raises:
        MissingDataError: the file does not exist.
        DataError: pyarrow is missing, or the file is no Parquet table.
    """
    content = content_of_table(file, "a Parquet table")
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DataError(f"{file}: reader 'parquet' needs pyarrow: pip install 'siamesekit[parquet]'") from None
    try:
        opened = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{file} is no Parquet table ({error})") from None
    return Table(str(file), opened.schema_arrow.names, _rows(opened, file), "row")


def _rows(opened: Any, file: Path) -> Iterator[Row]:
    """The rows, counted from 1."""
    import pyarrow

    number = 0
    try:
        for batch in opened.iter_batches(_BATCH):
            columns = [_texts(column) for column in batch.columns]
            for cells in zip(*columns, strict=True):
                number += 1
                yield Row(number, list(cells))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{file} cannot be read after row {number} ({error})") from None


def _texts(column: Any) -> list[str]:
    import pyarrow

    if pyarrow.types.is_timestamp(column.type):  # Python has no nanoseconds
        column = column.cast(pyarrow.timestamp("us", column.type.tz), safe=False)
    return [text_of(value) for value in column.to_pylist()]
