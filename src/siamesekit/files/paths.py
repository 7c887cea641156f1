"""Examine paths: what a path is, without following its last link, and where its links lead."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def is_plain(path: Path) -> bool:
    """Whether a path is a plain file, not a link, folder, pipe or device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def is_own_folder(path: Path) -> bool:
    """Whether a path is a folder, not a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def is_there(path: Path) -> bool:
    """Whether a path exists; a broken link counts as well."""
    return path.is_symlink() or path.exists()


def resolved(path: Path) -> Path:
    """Absolute path with links resolved; parts that do not exist are kept.

    Raises:
        OSError: the links lead in a circle.
    """
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "its links lead in a circle", str(path)) from None
    return Path(os.path.realpath(path))
