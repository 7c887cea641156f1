"""What the commands share: printing, progress, errors to exit codes."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from siamesekit.errors import SiamesekitError, UserError, in_one_line, line_of_name, out_of_memory, printable
from siamesekit.figures import rate
from siamesekit.progress import Item, Progress
from siamesekit.stopping import Stop, Stopped

if TYPE_CHECKING:
    from rich.console import Console

PACKAGE = f"{Path(__file__).parents[1].name}{os.sep}"
"""The library's files' names have this in them."""


class Shell(Progress):
    """A command's surroundings: as a context it turns errors into a few lines on stderr and an exit code.

    0 done, 1 failed while running, 2 the user's input is wrong, 130 stopped by Ctrl-C, 143 by SIGTERM. What is not
    raised on purpose is one line, too: the system's errors with their file, want of memory with what to do, anything
    else as a fault of the library's own, with its place in the source.

    Args:
        debug: let errors through with their traceback.
        quiet: say nothing on stdout but JSON; warnings go to stderr.
    """

    def __init__(self, debug: bool = False, quiet: bool = False) -> None:
        self.debug = debug
        self.quiet = quiet
        self._resume: tuple[Path, str, os.stat_result | None] | None = None
        self._said: set[str] = set()
        self._out: Console | None = None
        self._err: Console | None = None

    def __enter__(self) -> Self:
        """Load installed plugins; a failing one is named and passed over."""
        from siamesekit.installed_plugins import load_installed_plugins

        for failure in load_installed_plugins():
            self.warn(failure)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Errors raised on purpose become a message and an exit code."""
        if isinstance(error, KeyboardInterrupt):
            saved = isinstance(error, Stopped) and error.saved
            self.error("stopped, all that was done is saved" if saved else "stopped")
            if self._resume is not None:
                file, command, before = self._resume
                now = _stat(file)
                if now is not None and (before is None or not os.path.samestat(now, before)):
                    self.error(f"to go on: {command}")
            sys.exit(128 + (error.number if isinstance(error, Stopped) else signal.SIGINT))
        if self.debug or not isinstance(error, Exception) or type(error).__module__.startswith(("typer", "click")):
            return
        if isinstance(error, SiamesekitError):
            self.error(f"error: {error.message}", error.details)
        else:
            self.error(f"error: {in_words(error)}")
        sys.exit(2 if isinstance(error, UserError) else 1)

    def offer_to_resume(self, config: Path, command: str, replacing: bool) -> None:
        """Once this run's resolved config is there, a stop prints the command that goes on.

        Args:
            config: its place.
            command: that goes on.
            replacing: what is there now is another run's, which this one replaces.
        """
        self._resume = (config, command, _stat(config) if replacing else None)

    @property
    def out(self) -> Console:
        """stdout; made when first used, because importing rich takes time."""
        if self._out is None:
            self._out = _console(stderr=False)
        return self._out

    @property
    def err(self) -> Console:
        """stderr."""
        if self._err is None:
            self._err = _console(stderr=True)
        return self._err

    def error(self, text: str, details: Iterable[str] = ()) -> None:
        """A line on stderr, and more lines below it."""
        self._print(self.err, text, details, "bold red")

    def say(self, text: str) -> None:
        """A line of news."""
        self._said.add(text)
        if not self.quiet:
            self._print(self.out, text)

    def say_once(self, text: str) -> None:
        """A line of news, unless it has been said in this command: a finding is told once."""
        if text not in self._said:
            self.say(text)

    def warn(self, text: str, details: Iterable[str] = ()) -> None:
        """A line that must not be overlooked, on stderr, and more lines below it."""
        self._print(self.err, text, details, "bold yellow")

    @staticmethod
    def _print(console: Console, text: str, details: Iterable[str] = (), style: str = "") -> None:
        """A line and those below it, in which nothing acts on the terminal, whatever they quote."""
        for line in (in_one_line(text), *(f"  {in_one_line(line)}" for line in details)):
            console.print(line, style=style if style and console.is_terminal else None)

    @contextmanager
    def stoppable(self) -> Iterator[Stop]:
        """Ctrl-C and SIGTERM let a training step finish and be saved; a second one stops at once."""

        def asked(number: int) -> None:
            self.warn(f"{signal.Signals(number).name}: finishing this step and saving; once more stops at once")

        stop = Stop(asked)
        with stop.listening():
            yield stop

    def lines(self, lines: Iterable[str]) -> None:
        """Plain lines, of any length."""
        sys.stdout.writelines(f"{printable(line)}\n" for line in lines)

    def json(self, value: Any) -> None:
        """One JSON document on stdout."""
        text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
        print("".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text))

    def track(self, items: Iterable[Item], total: int, label: str, unit: str) -> Iterator[Item]:
        """A progress bar on a terminal; elsewhere a line at most every ten seconds.

        The time counts from this call on: work may be done before the first item is asked for.
        """
        start = time.perf_counter()
        if self.quiet:
            return iter(items)
        shown = self._bar if self.out.is_terminal else self._lines
        return shown(items, total, label, unit, start)

    def _bar(self, items: Iterable[Item], total: int, label: str, unit: str, start: float) -> Iterator[Item]:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        bars = Bars(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), console=self.out, transient=True,
        )  # fmt: skip
        with bars:
            task = bars.add_task(label, total=total, rate="")
            for count, item in enumerate(items, 1):
                yield item
                bars.update(task, completed=count, rate=rate(count, time.perf_counter() - start))

    def _lines(self, items: Iterable[Item], total: int, label: str, unit: str, start: float) -> Iterator[Item]:
        last = start
        for count, item in enumerate(items, 1):
            yield item
            now = time.perf_counter()
            if now - last > 10 and count < total:
                last = now
                left = (total - count) * (now - start) / count
                self.say(f"{label}: {count}/{total} {unit}, {rate(count, now - start)}, {left:.0f} s left")

    def require_files(self, *paths: Path) -> None:
        """All of these must exist.

        Raises:
            UserError: naming those that do not.
        """
        missing = [str(path) for path in paths if not path.exists()]
        if missing:
            raise UserError(f"there is no {' and no '.join(missing)}")

    def load_plugins(self, files: Sequence[Path]) -> None:
        """Load the plugin files given on the command line."""
        from siamesekit.plugins import load_plugin_file

        for file in files:
            load_plugin_file(file)


def in_words(error: Exception) -> str:
    """An error that was not raised on purpose, in one line."""
    if out_of_memory(error):
        return ("out of memory: lower data.size, sampler.batch_size or train.memory_gib, or take a smaller encoder "
                f"({in_one_line(str(error)) or type(error).__name__})")  # fmt: skip
    if isinstance(error, OSError) and error.strerror:
        file = f"{line_of_name(os.fsdecode(error.filename))}: " if isinstance(error.filename, str | bytes) else ""
        return f"{file}{error.strerror}"
    if isinstance(error, RecursionError):
        return "something is nested too deep; --debug shows where"
    place = next(reversed([frame for frame in extract_tb(error.__traceback__) if PACKAGE in frame.filename]), None)
    where = "" if place is None else f" at {place.filename.rpartition(PACKAGE)[2]}:{place.lineno}"
    return (f"a fault of siamesekit{where}, which it should have met with words of its own: {type(error).__name__}: "
            f"{in_one_line(str(error))}; --debug shows the traceback for a report of it")  # fmt: skip


def _console(stderr: bool) -> Console:
    from rich.console import Console

    target = sys.stderr if stderr else sys.stdout
    # Where nobody watches, a line is a line: no wrapping at a guessed width.
    width = None if target.isatty() else _columns(1_000_000 if stderr else 160)
    # Text is printed as it is: names and paths may hold [brackets] and :colons:.
    return Console(
        stderr=stderr, width=width, soft_wrap=not target.isatty(), markup=False, emoji=False, highlight=False
    )


def _stat(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None


def _columns(otherwise: int) -> int:
    """The environment's COLUMNS, where it is a width."""
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else otherwise
