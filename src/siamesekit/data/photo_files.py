"""Read photo files safely: only regular files, of bounded size, inside their root folder."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from siamesekit.files.untrusted import MAX_PHOTO_BYTES, open_regular


class UnreadableError(Exception):
    """One photo cannot be read: (reason, what to do)."""


class Room:
    """A memory limit that threads share: a thread waits until its share is free.

    Args:
        size: limit in bytes. A larger request is granted when no other thread holds any memory.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.free_all()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.free_all)

    def free_all(self) -> None:
        """Mark all memory as free, in a forked child, where the other threads no longer exist."""
        self.taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, wanted: int) -> Iterator[None]:
        """Hold `wanted` bytes inside the `with` block."""
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
"""Memory for the contents of all files that are being decoded."""


@contextmanager
def content_of(file: Path, root: Path | None = None) -> Iterator[bytes]:
    """Read the whole content of a photo file at once, so that later changes of the file have no effect.

    (A decoder that maps a file into memory crashes the process if the file is shortened.)

    Args:
        file: path of the file; it may be a symbolic link.
        root: folder that must contain the file after links are resolved; None: any folder.

    Raises:
        UnreadableError: the file does not exist or must not be read. Devices, FIFOs and folders are never opened.
    """
    try:
        real = _resolved(file, root)
        _check(real.stat())  # before opening, which may trigger an action of a device
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
    inside = root is None or str(real).startswith(f"{root}{os.sep}")  # a root that begins a resolved path has no links
    if not inside and not real.is_relative_to(os.path.realpath(str(root))):
        raise UnreadableError(f"is a link to {str(real)!r}, outside {str(root)!r}", "replace the link by the photo")
    return real


_SPECIAL = ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"), (stat.S_ISCHR, "device"), (stat.S_ISBLK, "device"))


def _check(info: os.stat_result) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise UnreadableError("is a folder, not a photo", "choose a photo in it")
    if not stat.S_ISREG(info.st_mode):
        kind = next((name for is_kind, name in _SPECIAL if is_kind(info.st_mode)), "special file")
        raise UnreadableError("is not a regular file", f"it is a {kind}: replace it by a photo file")
    check_length(info.st_size)


def check_length(size: int) -> None:
    """Check the size of a photo file in bytes.

    Raises:
        UnreadableError: the file is empty, or larger than `MAX_PHOTO_BYTES`.
    """
    if size == 0:
        raise UnreadableError("is empty (0 bytes)", "copy it again or remove it")
    if size > MAX_PHOTO_BYTES:
        raise UnreadableError(
            f"is too large: {size / 10**6:,.0f} MB, the limit is {MAX_PHOTO_BYTES / 10**6:,.0f} MB", "make it smaller"
        )


def _not_opened(error: OSError | ValueError) -> UnreadableError:
    reason = getattr(error, "strerror", None) or str(error)
    return UnreadableError(f"cannot be opened ({reason})", "check the file and its permissions")
