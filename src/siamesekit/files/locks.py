"""Locks between processes: a lock file that one process holds and removes afterwards."""

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
    """Create a lock file and hold it. Return an open handle for `release`, or None if another process holds the lock.

    On Windows there are no locks, and every process gets a handle.

    Raises:
        OSError: the file cannot be created, or it exists with content and is therefore not a lock.
    """
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        if not _is_lock(os.fstat(handle)):
            os.close(handle)
            raise FileExistsError(errno.EEXIST, "the file exists and is not a lock", str(file))
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
        with suppress(OSError):  # the previous holder may have removed the file after it was opened here
            if os.path.samestat(os.fstat(handle), file.stat()):
                return handle
        os.close(handle)


def release(file: Path, handle: int) -> None:
    """Release a lock of `held`. The file goes first, so that another process creates a new one."""
    with suppress(OSError):
        if _is_lock(file.lstat()):
            file.unlink()
    os.close(handle)


def _is_lock(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_size == 0
