"""Tables in shards: a folder, or a pattern such as `photos/part-*.parquet`, whose files are read as one table."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from siamesekit.components.readers.tables import Row, Table
from siamesekit.data.table_shards import folder_of_table, is_pattern, shards_of
from siamesekit.errors import DataError
from siamesekit.wording import first_of, line_of_name

_SHOWN = 10


@dataclass(frozen=True)
class _Shards(Table):
    """Several tables as one. The rows are counted through; `shards` has each shard's name and its first row's number.

    A shard's numbers of rows are those of the whole, less the number that its predecessors have used.
    """

    shards: Sequence[tuple[str, int]] = ()

    def place(self, number: int) -> str:
        """The shard of a row, and the row's number in it."""
        name, before = self.shards[bisect_right(self.shards, number - 1, key=lambda shard: shard[1]) - 1]
        return f"{name}, {self.row_name} {number - before}"


def table_of(file: Path, suffixes: Sequence[str], read: Callable[[Path], Table]) -> Table:
    """A table in one file, or in the shards of a folder or pattern, in natural order of their names.

    Args:
        file: the file, a folder, or a path whose last part has `*`, `?` or `[…]`.
        suffixes: suffixes of the shards in a folder.
        read: reads one file.

    Raises:
        MissingDataError: there is no such file.
        DataError: there are no shards, a shard cannot be read or is a link that leads out of the folder, or its columns
            are not those of the first.
    """
    folder = folder_of_table(file)
    if folder != file and not is_pattern(file):
        return read(file)
    shards = shards_of(file, suffixes)
    first = read(shards[0])
    begun: list[tuple[str, int]] = []
    notes = [f"{file}: {len(shards)} shards, {line_of_name(shards[0].name)} to {line_of_name(shards[-1].name)}"]
    if below := _folders_left_alone(folder) if folder == file else []:
        notes.append(f"{file}: shards in its sub-folders are not read: {first_of(below, _SHOWN)}")
    notes += first.notes
    return _Shards(
        str(file), first.header, _rows(first, shards, read, begun, notes), first.row_name, notes, shards=begun
    )


def _folders_left_alone(folder: Path) -> list[str]:
    """Names of sub-folders such as `year=2021`, in which other programs keep further shards."""
    return sorted(entry.name for entry in os.scandir(folder) if "=" in entry.name and entry.is_dir())


def _rows(
    first: Table,
    shards: Sequence[Path],
    read: Callable[[Path], Table],
    begun: list[tuple[str, int]],
    notes: list[str],
) -> Iterator[Row]:
    """The rows of all shards; one shard is open at a time."""
    last = 0
    for number, shard in enumerate(shards):
        table = first if number == 0 else read(shard)
        if number:
            _check_columns(table, first, shards[0])
            notes += table.notes
        begun.append((shard.name, last))
        before = last
        for row in table.rows:
            last = before + row.number
            yield Row(last, row.cells)


def _check_columns(table: Table, first: Table, like: Path) -> None:
    """Check that a shard has the columns of the first one, in the same order.

    Raises:
        DataError: it has others.
    """
    own, wanted = list(table.header), list(first.header)
    if own == wanted:
        return
    missing = [name for name in wanted if name not in own]
    further = [name for name in own if name not in wanted]
    differences = [
        *([f"it lacks {first_of(missing, _SHOWN)}"] if missing else []),
        *([f"it also has {first_of(further, _SHOWN)}"] if further else []),
    ] or ["they are in another order, or not as often"]
    raise DataError(
        f"shard {table.name} has other columns than {line_of_name(like.name)}: {'; '.join(differences)}; all shards of "
        "a table have the same columns"
    )
