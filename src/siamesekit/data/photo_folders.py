"""Find photos in folders, in natural order."""

from __future__ import annotations

import os
import re
from pathlib import Path

from siamesekit.data.foreign_formats import AVIF_IS_READ, HEIF_IS_READ
from siamesekit.data.system_files import is_left_alone
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


def folders_in(folder: Path) -> list[Path]:
    """Sub-folders of a folder, without hidden ones and those of systems, in natural order.

    Raises:
        DataError: the folder cannot be read.
    """
    return [entry for entry in children(folder) if not is_left_alone(entry.name, True) and is_folder(entry)]


def children(folder: Path) -> list[Path]:
    """All entries of a folder, in natural order.

    Raises:
        DataError: the folder cannot be read.
    """
    return [Path(entry.path) for entry in listed(folder)]


def listed(folder: str | Path) -> list[os.DirEntry[str]]:
    """All entries of a folder, in natural order, as the system lists them.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: natural(entry.name))
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


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key of a name that orders numbers by value; the name itself breaks ties."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts] + [(-1, name)]
