"""Reader `folder`: root/INDIVIDUAL/photo.jpg."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from siamesekit.data.records import Record
from siamesekit.errors import DataError, MissingDataError
from siamesekit.registry import READERS

Groups = Literal["none", "of-photos", "of-individuals"]
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")


@READERS.register("folder")
def folder(root: Path, groups: Groups = "none") -> list[Record]:
    """A folder of photos with a sub-folder per individual: `root/INDIVIDUAL/photo.jpg`.

    Photos may lie deeper below their individual's folder. Hidden files, and files whose suffix is not an
    image's, are left alone; photos are ordered as people count (`2.jpg` before `10.jpg`).

    Args:
        root: the folder; relative to the config's file.
        groups: whether there is a level of folders for groups, `root/GROUP/INDIVIDUAL/photo.jpg`: `none`; `of-photos`
            (sites, encounters), where a folder of the same name in another group holds other photos of the same
            individual; or `of-individuals` (species, families), where it is another individual, so that individuals
            are called `GROUP/INDIVIDUAL`.

    Returns:
        A list of N records, one per photo, sorted by group, individual and name.

    Raises:
        MissingDataError: there is no such folder.
        DataError: it holds no photos, or photos outside any individual's folder only.
    """
    place = f"{root}/INDIVIDUAL/photo.jpg" if groups == "none" else f"{root}/GROUP/INDIVIDUAL/photo.jpg"
    if not _is_folder(root) and not root.exists():
        raise MissingDataError(f"there is no folder {root}: put photos at {place}")
    if not _is_folder(root):
        raise DataError(f"{root} is a file; a folder with a sub-folder per individual is needed")
    records, loose = [], 0
    for above in [root] if groups == "none" else _folders(root):
        group = "" if groups == "none" else above.name
        for individual in _folders(above):
            name = f"{group}/{individual.name}" if groups == "of-individuals" else individual.name
            files = _photos(individual)
            records += [Record(file.relative_to(root).as_posix(), name, file, group, root) for file in files]
        loose += sum(file.suffix.lower() in SUFFIXES for file in _children(above))
    if not records:
        if groups != "none":
            loose += sum(file.suffix.lower() in SUFFIXES for file in _children(root))
        found = f"{loose} photos lie directly in it" if loose else "no photos are in it"
        if loose and groups != "none":
            found += " or in a group's folder"
        raise DataError(f"{root}: {found}; photos belong into a sub-folder per individual: "
                        f"{place} ({', '.join(SUFFIXES)})")  # fmt: skip
    return records


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder but hidden ones, as people count."""
    return [entry for entry in sorted(_children(folder), key=_natural)
            if not entry.name.startswith(".") and _is_folder(entry)]  # fmt: skip


def _children(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder)]
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}; check its permissions") from None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise DataError(f"{path} cannot be looked at: {error.strerror}; check its folder's permissions") from None


def _photos(folder: Path) -> list[Path]:
    """The photos below an individual's folder, symbolic links to folders not followed."""
    found = []
    for entry in sorted(_children(folder), key=_natural):
        if entry.name.startswith("."):
            continue
        if _is_folder(entry) and not entry.is_symlink():
            found += _photos(entry)
        elif entry.suffix.lower() in SUFFIXES:
            found.append(entry)
    return found


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key in which numbers count by value; the name itself breaks ties."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts] + [(-1, path.name)]
