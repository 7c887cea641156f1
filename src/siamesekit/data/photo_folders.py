"""Find photos in folders, in natural order."""

from __future__ import annotations

import os
import re
from pathlib import Path

from siamesekit.data.foreign_formats import AVIF_IS_READ, HEIF_IS_READ
from siamesekit.errors import DataError

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".tif", ".tiff", ".gif",
                  ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", *((".avif",) if AVIF_IS_READ else ()),
                  *((".heic", ".heif", ".hif") if HEIF_IS_READ else ()))  # fmt: skip
"""Suffixes of photo files that are read here, in lower or upper case."""


def is_photo(name: str) -> bool:
    """Whether a file name is that of a photo: it has a photo's suffix and is not hidden (`._1.jpg`)."""
    return name.lower().endswith(PHOTO_SUFFIXES) and not name.startswith(".")


def photos_in(folder: Path) -> list[Path]:
    """Photos directly in a folder, in natural order (`2.jpg` before `10.jpg`).

    Raises:
        DataError: the folder cannot be read.
    """
    return [entry for entry in children(folder) if is_photo(entry.name)]


def photos_below(folder: Path) -> list[Path]:
    """Photos in a folder and its sub-folders, in natural order; hidden folders and links to folders are skipped.

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
    """Sub-folders of a folder, without hidden ones, in natural order.

    Raises:
        DataError: the folder cannot be read.
    """
    return [entry for entry in children(folder) if not entry.name.startswith(".") and is_folder(entry)]


def children(folder: Path) -> list[Path]:
    """All entries of a folder, in natural order.

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
        DataError: the path cannot be accessed.
    """
    try:
        return path.is_dir()
    except OSError as error:
        raise DataError(f"cannot access {path}: {error.strerror}; check the permissions of its folder") from None


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key that orders numbers by value; the name itself breaks ties."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts] + [(-1, path.name)]
