"""A photo's file to bytes, safely: regular files only, of bounded size, inside the folder that they belong to."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from siamesekit.files import open_regular

MAX_BYTES = 800_000_000
"""A larger file is refused before it is read: 100 megapixels of 16-bit RGBA, uncompressed."""


class UnreadableError(Exception):
    """One photo cannot be read: (reason, mend)."""


class Room:
    """Memory that threads share: who wants some waits until it is free.

    Args:
        size: bytes. A wish for more than all of it is granted when nothing else is taken.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.free_all()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.free_all)

    def free_all(self) -> None:
        """All of it is free: in a forked child, where the threads that had taken some are not."""
        self.taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, wanted: int) -> Iterator[None]:
        """`wanted` bytes for as long as the block lasts."""
        with self._changed:
            self._changed.wait_for(lambda: self.taken == 0 or self.taken + wanted <= self.size)
            self.taken += wanted
        try:
            yield
        finally:
            with self._changed:
                self.taken -= wanted
                self._changed.notify_all()


CONTENTS = Room(2**30)
"""What all files whose photos are being decoded may take."""


@contextmanager
def content_of(file: Path, root: Path | None = None) -> Iterator[bytes]:
    """The whole content of a photo's file, read once: what happens to the file afterwards changes nothing.

    (Decoders that map a file into memory die with the process when another one shortens it.)

    Args:
        file: may be a symbolic link.
        root: the folder in which the file must lie once links are followed; anywhere without it.

    Raises:
        UnreadableError: there is no such file, or it must not be read; no device, FIFO or folder is ever opened.
    """
    try:
        real = _resolved(file, root)
        _check(real.stat())  # before it is opened, which a device might take for an order
        stream = open_regular(real)
    except (OSError, ValueError) as error:
        raise _not_opened(error) from None
    with stream:
        info = os.fstat(stream.fileno())
        _check(info)
        with CONTENTS.take(info.st_size):
            try:
                content = stream.read(info.st_size)
            except OSError as error:
                raise _not_opened(error) from None
            yield content


def _resolved(file: Path, root: Path | None) -> Path:
    real = Path(os.path.realpath(file, strict=True))
    if root is not None and not real.is_relative_to(os.path.realpath(root)):
        raise UnreadableError(f"is a link to {str(real)!r}, outside {str(root)!r}", "put the photo itself there")
    return real


_SPECIAL = ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"), (stat.S_ISCHR, "device"), (stat.S_ISBLK, "device"))


def _check(info: os.stat_result) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise UnreadableError("is a folder, not a photo", "name the photos in it")
    if not stat.S_ISREG(info.st_mode):
        kind = next((name for is_kind, name in _SPECIAL if is_kind(info.st_mode)), "special file")
        raise UnreadableError("is not a regular file", f"it is a {kind}, and a photo is a file with pixels in it")
    check_length(info.st_size)


def check_length(size: int) -> None:
    """Refuse a photo's file by its size in bytes.

    Raises:
        UnreadableError: it is empty, or larger than `MAX_BYTES`.
    """
    if size == 0:
        raise UnreadableError("is empty (0 bytes)", "copy it again or remove it")
    if size > MAX_BYTES:
        raise UnreadableError(
            f"is too large: {size / 10**6:,.0f} MB, the limit is {MAX_BYTES / 10**6:,.0f} MB", "make it smaller"
        )


def _not_opened(error: OSError | ValueError) -> UnreadableError:
    reason = getattr(error, "strerror", None) or str(error)
    return UnreadableError(f"cannot be opened ({reason})", "check the file and its permissions")
