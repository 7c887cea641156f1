"""A lock for one writer at a time that tells who holds it."""

from __future__ import annotations

import errno
import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from siamesekit.errors import OutputError
from siamesekit.files.untrusted import open_regular
from siamesekit.wording import line_of_name

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

MOST_BYTES = 4096
"""Bytes read of the holder's description."""


@contextmanager
def writer(file: Path, what: str) -> Iterator[None]:
    """Hold the lock of the only writer, and describe the holder in the lock file.

    The lock ends with the process. On Windows there is no lock.

    Args:
        file: the lock file; it is created, and stays.
        what: what is written, for the message.

    Raises:
        OutputError: another process holds the lock, or the file cannot be created.
    """
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OutputError(f"{what} cannot be changed: {line_of_name(str(file))}: {reason}") from error
    try:
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
                raise OutputError(f"{what} is being changed by {_holder(file)}; try again when it has ended") from None
        _describe(handle)
        yield
        with suppress(OSError):
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def user() -> str:
    """Name of the user of this process, or `unknown`."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def _describe(handle: int) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    content = json.dumps({"process": os.getpid(), "user": user(), "machine": socket.gethostname(), "since": now})
    with suppress(OSError):  # a full disk: the lock holds without a description
        os.ftruncate(handle, 0)
        os.pwrite(handle, content.encode(), 0)


def _holder(file: Path) -> str:
    """The holder of a lock in words."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        with open_regular(file) as opened:
            found = json.loads(opened.read(MOST_BYTES))
        return f"process {int(found['process'])} of {found['user']} on {found['machine']} since {found['since']}"
    return "another process"
