"""Progress of long work: the library calls `Progress`; the command line, a notebook or a prompt shows it."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterable, Iterator
from typing import Any, TextIO, TypeVar

from siamesekit.wording import clock, in_one_line, rate

Item = TypeVar("Item")
IN_PLACE = 0.2
"""Seconds between two updates of a line that changes in place."""
IN_LINES = 10.0
"""Seconds between two lines of progress if lines cannot change in place."""
BAR = 20
"""Length of a bar in characters."""


class Progress:
    """Messages and progress of a run. This class is silent; a subclass shows them."""

    __module__ = "siamesekit"

    def say(self, text: str) -> None:
        """Show one line of news."""

    def warn(self, text: str, details: Iterable[str] = ()) -> None:
        """Show one line that the user must not overlook, with `details` indented below it."""

    def track(self, items: Iterable[Item], total: int, label: str, unit: str) -> Iterator[Item]:
        """Yield `items`, showing how many of `total` are done, the rate and the time left."""
        yield from items


class InParts(Progress):
    """Progress of work that is done in parts, shown as one: what the parts `track` counts on. It is a context.

    Args:
        progress: where it is shown.
        total: number of items of all parts.
        label: what is done.
        unit: what the items are.
    """

    __module__ = "siamesekit.progress"

    def __init__(self, progress: Progress, total: int, label: str, unit: str) -> None:
        self._progress = progress
        self._whole = iter(progress.track(range(total), total, label, unit))

    def __enter__(self) -> InParts:
        return self

    def __exit__(self, *raised: object) -> None:
        if isinstance(self._whole, Generator):
            self._whole.close()

    def say(self, text: str) -> None:
        """Show one line of news."""
        self._progress.say(text)

    def warn(self, text: str, details: Iterable[str] = ()) -> None:
        """Show one line that the user must not overlook, with `details` indented below it."""
        self._progress.warn(text, details)

    def track(self, items: Iterable[Item], total: int, label: str, unit: str) -> Iterator[Item]:
        """Yield the items of a part; the whole work counts them."""
        for item in items:
            next(self._whole, None)
            yield item


class ShownProgress(Progress):
    """Messages and progress, written to a stream.

    Args:
        stream: the stream to write to.
        in_place: whether a line can be overwritten, as in a notebook or on a terminal. If not, progress is written as
            new lines, at most one every ten seconds.
    """

    def __init__(self, stream: TextIO, in_place: bool) -> None:
        self.stream = stream
        self.in_place = in_place
        self._shown = 0

    def say(self, text: str) -> None:
        """Write one line of news."""
        self._clear()
        self._write(f"{in_one_line(text)}\n")

    def warn(self, text: str, details: Iterable[str] = ()) -> None:
        """Write a line that begins with "Warning:", with `details` indented below it."""
        self.say(f"Warning: {text}")
        for line in details:
            self.say(f"  {line}")

    def track(self, items: Iterable[Item], total: int, label: str, unit: str) -> Iterator[Item]:
        """Yield `items`, showing a bar, how many of `total` are done, the rate and the time left."""
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
        left = clock((total - count) * seconds / count)
        state = f"{count}/{total} {unit}, {rate(count, seconds)}, {left} left"
        if not self.in_place:
            self._write(f"{label}: {state}\n")
            return
        filled = BAR * count // total
        line = f"{label} {'█' * filled}{'░' * (BAR - filled)} {state}"
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
    """The progress display that suits this Python process.

    A notebook shows progress below the cell, a terminal or a prompt on stderr. A script whose output goes to a file or
    a pipe is silent; it may pass a `ShownProgress` of its own.
    """
    if _in_notebook():
        return ShownProgress(sys.stdout, in_place=True)
    if sys.stderr is not None and sys.stderr.isatty():
        return ShownProgress(sys.stderr, in_place=True)
    if sys.stderr is not None and hasattr(sys, "ps1"):  # a prompt without a terminal, as in an editor
        return ShownProgress(sys.stderr, in_place=False)
    return Progress()


def _in_notebook() -> bool:
    """Whether an IPython kernel runs this process. Does not import IPython."""
    ipython: Any = sys.modules.get("IPython")
    get_ipython = getattr(ipython, "get_ipython", None)
    shell = get_ipython() if callable(get_ipython) else None
    return getattr(shell, "kernel", None) is not None
