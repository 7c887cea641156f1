"""Shards of a table: the files of a folder, or of a pattern such as `photos/part-*.parquet`, in order."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from siamesekit.data.photo_folders import natural
from siamesekit.errors import DataError

CSV_SUFFIXES, PARQUET_SUFFIXES = (".csv", ".tsv"), (".parquet", ".pq")
"""Suffixes of the shards in a folder."""


def is_pattern(file: Path) -> bool:
    """Whether a path's last part is a pattern; a file with such a name is that file."""
    return any(mark in file.name for mark in "*?[") and not file.exists()


def folder_of_table(file: Path) -> Path:
    """The folder in which a table lies; the folder or pattern of a table in shards is such a table."""
    return file if file.is_dir() else file.parent


def first_file_of(file: Path, suffixes: Sequence[str] = ()) -> Path:
    """The first shard of a folder or pattern; any other file itself.

    Raises:
        DataError: see `shards_of`.
    """
    return shards_of(file, suffixes)[0] if file.is_dir() or is_pattern(file) else file


def shards_of(file: Path, suffixes: Sequence[str] = ()) -> list[Path]:
    """The shards of a folder or pattern, in natural order of their names (`part-2.csv` before `part-10.csv`).

    Hidden files, and marks of the program that wrote the shards (`_SUCCESS`), are none.

    Args:
        file: folder, or a path whose last part has `*`, `?` or `[…]`.
        suffixes: suffixes of the shards in a folder.

    Raises:
        DataError: there are none, or one is a link that leads out of their folder.
    """
    folder = folder_of_table(file)
    shards = [entry for entry in _files_in(folder) if not entry.name.startswith((".", "_"))]
    if folder == file:
        shards = [shard for shard in shards if shard.suffix.lower() in suffixes]
        if not shards:
            raise DataError(
                f"{file} is a folder without shards of a table ({', '.join(suffixes)}); for a folder of photos: "
                f'reader = "folder", root = {json.dumps(str(file))}'
            )
    else:
        shards = [shard for shard in shards if fnmatchcase(shard.name, file.name)]
        if not shards:
            raise DataError(f"no file fits {file}: correct the pattern; it may have * and ? in its last part only")
    real = os.path.realpath(folder)
    for shard in shards:
        if shard.is_symlink() and not Path(os.path.realpath(shard)).is_relative_to(real):
            raise DataError(f"shard {shard} is a link that leads out of {folder}: replace it by the file")
    return sorted(shards, key=lambda shard: natural(shard.name))


def _files_in(folder: Path) -> list[Path]:
    """What is in a folder, without its sub-folders; nothing if there is no such folder.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if not entry.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}; check its permissions") from None
