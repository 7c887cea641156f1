"""Limits of what is read of photo files: their size, and the memory for their contents."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from siamesekit.files.untrusted import MAX_PHOTO_BYTES


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
