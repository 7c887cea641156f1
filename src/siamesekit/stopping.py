"""Stopping: Ctrl-C and SIGTERM let a training step finish and its state be saved; a second one stops at once."""

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
        number: the signal's.
        saved: whether all that was done has been saved.
    """

    def __init__(self, number: int, saved: bool = False) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.saved = saved


class Stop:
    """Whether a run is asked to stop.

    Outside `deferring` a signal raises `Stopped` wherever the run is; inside, the first one is only noted.

    Args:
        asked: is told the signal when it is noted.

    Attributes:
        requested: the signal that has been noted, or None.
    """

    def __init__(self, asked: Callable[[int], object] = lambda number: None) -> None:
        self.requested: int | None = None
        self._asked = asked
        self._waits = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals; in another than the main thread, where Python does not let it, leave them alone."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        taken = [number for number in SIGNALS if before[number] is not None]  # else it is another library's, in C
        try:
            for number in taken:
                signal.signal(number, self._handle)
            yield
        finally:
            for number in taken:
                signal.signal(number, before[number])

    @contextmanager
    def deferring(self) -> Iterator[None]:
        """The run looks at `requested` after each step itself."""
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
