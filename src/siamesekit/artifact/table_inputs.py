"""A table of photos as the input of `embed`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from siamesekit.components.readers.table_headers import without_individuals
from siamesekit.config.reader_choice import data_options, reader_of_table, reader_options
from siamesekit.data.reading import read_photos
from siamesekit.data.records import Records
from siamesekit.errors import UserError
from siamesekit.files.remote_address import RemoteFolder
from siamesekit.wording import line_of_name


def table_among(inputs: Sequence[Path | RemoteFolder]) -> Path | None:
    """The table of photos that is the only input, in one file or in shards; None if no input is a table.

    Raises:
        UserError: there is a table, and further inputs.
    """
    tables = [path for path in inputs if isinstance(path, Path) and reader_of_table(path) is not None]
    if not tables:
        return None
    if len(inputs) > 1:
        raise UserError(
            f"{line_of_name(str(tables[0]))} is a table of photos, and must be the only input; for a table in shards, "
            "name their folder or a quoted pattern, such as 'tables/part-*.parquet'"
        )
    return tables[0]


def records_of_table(table: Path, overrides: Sequence[str] = (), skip_bad: bool = False) -> Records:
    """The photos that a table names, cropped to its boxes if its options name any.

    A table needs no column of individuals.

    Args:
        table: the table, or the folder or pattern of its shards.
        overrides: options of its reader, as `data.KEY=VALUE` strings.
        skip_bad: whether to leave out rows whose photos are missing, instead of an error.

    Raises:
        DataError: the table cannot be read as asked.
        ConfigError: an override is invalid.
    """
    reader = str(reader_of_table(table))
    unnamed = without_individuals(table, reader, data_options(overrides))
    name, options = reader_options(table, reader, [*overrides, *unnamed])
    return read_photos(name, options, skip_bad=skip_bad)
