"""Locks between processes: a file that one of them holds, and that is gone afterwards."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


def held(file: Path) -> int | None:
    """Make a lock's file and hold it: an open handle, for `release`; None where another process holds it.

    Where there are no locks (on Windows) the file's presence is none either, and a handle is given to everyone.

    Raises:
        OSError: it cannot be made, or a file with content is there, which is no lock.
    """
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        if not _is_lock(os.fstat(handle)):
            os.close(handle)
            raise FileExistsError(errno.EEXIST, "it is there and is no lock", str(file))
        if fcntl is None:
            return handle
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:
            os.close(handle)
            raise
        with suppress(OSError):  # whoever held it before may have removed the file since it was opened here
            if os.path.samestat(os.fstat(handle), file.stat()):
                return handle
        os.close(handle)


def release(file: Path, handle: int) -> None:
    """Give up a lock that is `held`, its file first: whoever finds no file makes another."""
    with suppress(OSError):
        if _is_lock(file.lstat()):
            file.unlink()
    os.close(handle)


def _is_lock(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_size == 0
