"""Reader `folder`: root/INDIVIDUAL/photo.jpg."""

from __future__ import annotations

import os
import re
from pathlib import Path

from siamesekit.data.records import Record
from siamesekit.errors import DataError, MissingDataError
from siamesekit.registry import READERS

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")


@READERS.register("folder")
def folder(root: Path) -> list[Record]:
    """A folder of photos with a sub-folder per individual: `root/INDIVIDUAL/photo.jpg`.

    Photos may lie deeper below their individual's folder. Hidden files, and files whose suffix is not an
    image's, are left alone; photos are ordered as people count (`2.jpg` before `10.jpg`).

    Args:
        root: the folder; relative to the config's file.

    Returns:
        A list of N records, one per photo, sorted by individual and name.

    Raises:
        MissingDataError: there is no such folder.
        DataError: it holds no photos, or photos outside any individual's folder only.
    """
    if not root.exists():
        raise MissingDataError(f"there is no folder {root}: put photos at {root}/INDIVIDUAL/photo.jpg")
    if not root.is_dir():
        raise DataError(f"{root} is a file; a folder with a sub-folder per individual is needed")
    records = []
    for individual in sorted(_children(root), key=_natural):
        if individual.name.startswith(".") or not individual.is_dir():
            continue
        for file in _photos(individual):
            name = file.relative_to(root).as_posix()
            records.append(Record(name=name, individual=individual.name, source=file))
    if not records:
        loose = sum(file.suffix.lower() in SUFFIXES for file in _children(root))
        found = f"{loose} photos lie directly in it" if loose else "no photos are in it"
        raise DataError(f"{root}: {found}; photos belong into a sub-folder per individual: "
                        f"{root}/INDIVIDUAL/photo.jpg ({', '.join(SUFFIXES)})")  # fmt: skip
    return records


def _children(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder)]
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}; check its permissions") from None


def _photos(folder: Path) -> list[Path]:
    """The photos below an individual's folder, symbolic links to folders not followed."""
    found = []
    for entry in sorted(_children(folder), key=_natural):
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            found += _photos(entry)
        elif entry.suffix.lower() in SUFFIXES:
            found.append(entry)
    return found


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key in which numbers count by value; the name itself breaks ties."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts] + [(-1, path.name)]
