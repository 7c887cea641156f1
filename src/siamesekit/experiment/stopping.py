"""Stopping: after Ctrl-C or SIGTERM a run finishes its training step and saves it; a second signal stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A signal ended the run.

    Attributes:
        number: number of the signal.
        saved: whether all that was done has been saved.
    """

    def __init__(self, number: int, saved: bool = False) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.saved = saved


class Stop:
    """A request to stop a run.

    Outside `deferring` a signal raises `Stopped` at once; inside, the first signal is only recorded.

    Args:
        asked: called with the number of the signal when it is recorded.

    Attributes:
        requested: number of the recorded signal, or None.
    """

    def __init__(self, asked: Callable[[int], object] = lambda number: None) -> None:
        self.requested: int | None = None
        self._asked = asked
        self._waits = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals; only in the main thread, since Python allows it only there."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        taken = [number for number in SIGNALS if before[number] is not None]  # None: a C library's handler
        try:
            for number in taken:
                signal.signal(number, self._handle)
            yield
        finally:
            for number in taken:
                signal.signal(number, before[number])

    @contextmanager
    def deferring(self) -> Iterator[None]:
        """Only record the first signal; the run itself checks `requested` after each batch."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._waits and self.requested is None:
            self.requested = number
            self._asked(number)
            return
        raise Stopped(number)
