"""Folders of photos: which files in them are photos, and in which order."""

from __future__ import annotations

import os
import re
from pathlib import Path

from siamesekit.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""What the name of a photo's file ends in, in small letters or capitals."""


def is_photo(name: str) -> bool:
    """Whether a file of this name is taken for a photo: by its suffix, and not hidden (`._1.jpg`)."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def photos_in(folder: Path) -> list[Path]:
    """The photos directly in a folder, as people count (`2.jpg` before `10.jpg`).

    Raises:
        DataError: the folder cannot be read.
    """
    return [entry for entry in children(folder) if is_photo(entry.name)]


def photos_below(folder: Path) -> list[Path]:
    """The photos in a folder and its sub-folders; hidden folders, and links to folders, are left alone.

    Raises:
        DataError: a folder cannot be read.
    """
    found = []
    for entry in children(folder):
        if not entry.name.startswith(".") and is_folder(entry):
            found += [] if entry.is_symlink() else photos_below(entry)
        elif is_photo(entry.name):
            found.append(entry)
    return found


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder but hidden ones, as people count.

    Raises:
        DataError: the folder cannot be read.
    """
    return [entry for entry in children(folder) if not entry.name.startswith(".") and is_folder(entry)]


def children(folder: Path) -> list[Path]:
    """All that is in a folder, as people count.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        return sorted((Path(entry.path) for entry in os.scandir(folder)), key=_natural)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}; check its permissions") from None


def is_folder(path: Path) -> bool:
    """Whether a path is a folder, or a link to one.

    Raises:
        DataError: it cannot be told.
    """
    try:
        return path.is_dir()
    except OSError as error:
        raise DataError(f"{path} cannot be looked at: {error.strerror}; check its folder's permissions") from None


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key in which numbers count by value; the name itself breaks ties."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts] + [(-1, path.name)]
