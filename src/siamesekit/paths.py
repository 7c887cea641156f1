"""What a path is, without following its last link; and where its links lead."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def is_plain(path: Path) -> bool:
    """Whether a plain file is there: no link, folder, pipe or device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def is_own_folder(path: Path) -> bool:
    """Whether a folder is there that is no link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def is_there(path: Path) -> bool:
    """Whether anything is there, a link that leads nowhere included."""
    return path.is_symlink() or path.exists()


def resolved(path: Path) -> Path:
    """A path made absolute, its links followed; what is not there is taken as it stands.

    Raises:
        OSError: its links lead in a circle.
    """
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "its links lead in a circle", str(path)) from None
    return Path(os.path.realpath(path))
