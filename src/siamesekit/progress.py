"""How long work tells of itself: the library calls `Progress`, the command line, a notebook or a prompt shows it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, TypeVar

from siamesekit.errors import in_one_line
from siamesekit.figures import rate

Item = TypeVar("Item")
IN_PLACE = 0.2
"""Seconds between two states of a line that changes in place."""
IN_LINES = 10.0
"""Seconds between two lines where no line can change in place."""
BAR = 20
"""Characters of a bar."""


class Progress:
    """Silent; a subclass shows what it is told."""

    def say(self, text: str) -> None:
        """One line of news."""

    def warn(self, text: str, details: Iterable[str] = ()) -> None:
        """One line that the user must not overlook, and more lines, which are indented below it."""

    def track(self, items: Iterable[Item], total: int, label: str, unit: str) -> Iterator[Item]:
        """Pass `items` on, showing how many of `total` are through, the rate and the time left."""
        yield from items


class ShownProgress(Progress):
    """Written to a stream: news a line each, and how far the work has come.

    Args:
        stream: where it is written.
        in_place: whether a line can be written over, as in a notebook and on a terminal; else how far the work has come
            is told in lines, one every ten seconds at most.
    """

    def __init__(self, stream: TextIO, in_place: bool) -> None:
        self.stream = stream
        self.in_place = in_place
        self._shown = 0

    def say(self, text: str) -> None:
        """A line of news."""
        self._clear()
        self._write(f"{in_one_line(text)}\n")

    def warn(self, text: str, details: Iterable[str] = ()) -> None:
        """A line that must not be overlooked, and more lines below it."""
        self.say(f"Warning: {text}")
        for line in details:
            self.say(f"  {line}")

    def track(self, items: Iterable[Item], total: int, label: str, unit: str) -> Iterator[Item]:
        """Pass `items` on, showing a bar, how many of `total` are through, the rate and the time left."""
        start = last = time.monotonic()
        try:
            for count, item in enumerate(items, 1):
                yield item
                now = time.monotonic()
                if now - last >= (IN_PLACE if self.in_place else IN_LINES) and count < total:
                    last = now
                    self._show(label, unit, count, total, now - start)
        finally:
            self._clear()

    def _show(self, label: str, unit: str, count: int, total: int, seconds: float) -> None:
        left = _duration((total - count) * seconds / count)
        told = f"{count}/{total} {unit}, {rate(count, seconds)}, {left} left"
        if not self.in_place:
            self._write(f"{label}: {told}\n")
            return
        filled = BAR * count // total
        line = f"{label} {'█' * filled}{'░' * (BAR - filled)} {told}"
        self._write(f"\r{line}{' ' * (self._shown - len(line))}")
        self._shown = len(line)

    def _clear(self) -> None:
        if self._shown:
            self._write(f"\r{' ' * self._shown}\r")
            self._shown = 0

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


def progress_here() -> Progress:
    """What shows progress to whoever works in this Python process: nothing, where nobody watches.

    In a notebook it is written below the cell, on a terminal and at a prompt to stderr. A script whose output goes to a
    file or a pipe is silent; it may pass a `ShownProgress` of its own.
    """
    if _in_notebook():
        return ShownProgress(sys.stdout, in_place=True)
    if sys.stderr is not None and sys.stderr.isatty():
        return ShownProgress(sys.stderr, in_place=True)
    if sys.stderr is not None and hasattr(sys, "ps1"):  # a prompt without a terminal, as in an editor
        return ShownProgress(sys.stderr, in_place=False)
    return Progress()


def _in_notebook() -> bool:
    """Whether an IPython kernel runs this process; IPython is not imported for it."""
    ipython: Any = sys.modules.get("IPython")
    get_ipython = getattr(ipython, "get_ipython", None)
    shell = get_ipython() if callable(get_ipython) else None
    return getattr(shell, "kernel", None) is not None


def _duration(seconds: float) -> str:
    """`0:07`, `12:30`, `1:02:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
