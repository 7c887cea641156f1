"""The shell that all commands share: printing, progress, and exit codes of errors."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from siamesekit.data.table_shards import is_pattern
from siamesekit.errors import SiamesekitError, UserError, out_of_memory
from siamesekit.experiment.stopping import Stop, Stopped
from siamesekit.files.remote_address import refuse_address
from siamesekit.progress import Item, Progress
from siamesekit.wording import in_one_line, line_of_name, printable, rate

if TYPE_CHECKING:
    from rich.console import Console

PACKAGE = f"{Path(__file__).parents[1].name}{os.sep}"
"""Part of the path of every file of the library."""
PIECE = 1 << 20
"""Characters that are kept in memory, and printed at a time."""


def json_text(value: Any) -> str:
    """A JSON document for people and programs: indented, and without characters that a terminal would obey."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


class JsonItems:
    """Items of a list of a JSON document, which are kept on the disk, if they are many, until it can be printed.

    It is printed when nothing can fail any more, so that a program never reads a part of one.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(PIECE, "w+", encoding="utf-8")  # noqa: SIM115
        self._count = 0

    def add(self, item: Any) -> None:
        """Keep one more item."""
        text = json_text(item).replace("\n", "\n    ")  # texts in JSON have no line breaks
        self._file.write(f"{',' if self._count else '['}\n    {text}")
        self._count += 1

    def pieces(self) -> Iterator[str]:
        """The list as it stands in a document, piece by piece."""
        if not self._count:
            yield "[]"
            return
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            yield piece
        yield "\n  ]"


class Shell(Progress):
    """Context of a command: turns errors into a few lines on stderr and an exit code.

    Exit codes: 0 success, 1 failure while running, 2 invalid input, 130 stopped by Ctrl-C, 143 stopped by SIGTERM.
    Unexpected errors take one line, too: errors of the operating system name the file, out-of-memory errors say what
    to do, and all others are reported as internal errors with their place in the source.

    Args:
        debug: raise errors with their traceback.
        quiet: print only JSON to stdout; warnings still go to stderr.
    """

    def __init__(self, debug: bool = False, quiet: bool = False) -> None:
        self.debug = debug
        self.quiet = quiet
        self._resume: tuple[Path, str, os.stat_result | None] | None = None
        self._said: set[str] = set()
        self._out: Console | None = None
        self._err: Console | None = None

    def __enter__(self) -> Self:
        """Load installed plugins. A plugin that fails is named in a warning and skipped."""
        from siamesekit.registry.installed_plugins import load_installed_plugins

        for failure in load_installed_plugins():
            self.warn(failure)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Turn an error into a message and an exit code."""
        if isinstance(error, KeyboardInterrupt):
            saved = isinstance(error, Stopped) and error.saved
            self.error("stopped; all work is saved" if saved else "stopped")
            if self._resume is not None:
                file, command, before = self._resume
                now = _stat(file)
                if now is not None and (before is None or not os.path.samestat(now, before)):
                    self.error(f"to continue: {command}")
            sys.exit(128 + (error.number if isinstance(error, Stopped) else signal.SIGINT))
        if self.debug or not isinstance(error, Exception) or type(error).__module__.startswith(("typer", "click")):
            return
        if isinstance(error, SiamesekitError):
            self.error(f"error: {error.message}", error.details)
        else:
            self.error(f"error: {fault_in_words(error)}")
        sys.exit(2 if isinstance(error, UserError) else 1)

    def offer_to_resume(self, config: Path, command: str, replacing: bool) -> None:
        """Print the command that continues the run if it is stopped after its resolved config was written.

        Args:
            config: path of the resolved config.
            command: command that continues the run.
            replacing: whether the run replaces another one, whose config is at this path now.
        """
        self._resume = (config, command, _stat(config) if replacing else None)

    @property
    def out(self) -> Console:
        """The console of stdout. It is created at first use, because importing rich takes time."""
        if self._out is None:
            self._out = _console(stderr=False)
        return self._out

    @property
    def err(self) -> Console:
        """The console of stderr."""
        if self._err is None:
            self._err = _console(stderr=True)
        return self._err

    def error(self, text: str, details: Iterable[str] = ()) -> None:
        """Print an error on stderr, with details below it."""
        self._print(self.err, text, details, "bold red")

    def say(self, text: str) -> None:
        """Print a line on stdout, unless quiet."""
        self._said.add(text)
        if not self.quiet:
            self._print(self.out, text)

    def say_once(self, text: str) -> None:
        """Print a line on stdout, unless this command has printed it before."""
        if text not in self._said:
            self.say(text)

    def warn(self, text: str, details: Iterable[str] = ()) -> None:
        """Print a warning on stderr, with details below it."""
        self._print(self.err, text, details, "bold yellow")

    @staticmethod
    def _print(console: Console, text: str, details: Iterable[str] = (), style: str = "") -> None:
        """Print a line and its details; control characters in them are escaped."""
        for line in (in_one_line(text), *(f"  {in_one_line(line)}" for line in details)):
            console.print(line, style=style if style and console.is_terminal else None)

    @contextmanager
    def stoppable(self) -> Iterator[Stop]:
        """On Ctrl-C or SIGTERM, finish the training step and save it; a second signal stops at once."""

        def asked(number: int) -> None:
            self.warn(f"{signal.Signals(number).name}: finishing this step and saving; repeat it to stop at once")

        stop = Stop(asked)
        with stop.listening():
            yield stop

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines of any length, unwrapped."""
        sys.stdout.writelines(f"{printable(line)}\n" for line in lines)

    def json(self, value: Any) -> None:
        """Print a JSON document on stdout."""
        print(json_text(value))

    def json_of(self, name: str, items: JsonItems, rest: Mapping[str, Any]) -> None:
        """Print what `json` prints of `{name: [*items], **rest}`, without holding the items; the rest is not empty."""
        sys.stdout.write(f"{{\n  {json_text(name)}: ")
        sys.stdout.writelines(items.pieces())
        sys.stdout.write(f",{json_text(rest)[1:]}\n")

    def track(self, items: Iterable[Item], total: int, label: str, unit: str) -> Iterator[Item]:
        """Show a progress bar on a terminal; elsewhere print a line at most every ten seconds.

        The time is measured from this call on, because work may be done before the first item is requested.
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
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self.out,
            transient=True,
        )
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
        """Check that all paths exist; the files that fit a pattern are looked for by their reader.

        Raises:
            UserError: some do not, or are addresses; the message names them.
        """
        for path in paths:
            refuse_address(path, "name a path of this machine; a table may have --set data.root=ADDRESS")
        missing = [str(path) for path in paths if not path.exists() and not is_pattern(path)]
        if missing:
            raise UserError(f"no such file: {', '.join(missing)}")

    def require(self, models: Sequence[str], *files: Path) -> None:
        """Check, before any work, that models are named rightly, and that folders and files exist.

        Raises:
            UserError: a name is none or is ambiguous, or files are missing.
        """
        from siamesekit.artifact.model_name import model_name, require_model

        folders = [named for named in map(model_name, models) if isinstance(named, Path)]
        missing = [path for path in (*folders, *files) if not path.exists()]
        if len(missing) == 1 and missing[0] in folders:
            require_model(str(missing[0]))
        self.require_files(*missing)

    def load_plugins(self, files: Sequence[Path]) -> None:
        """Load the plugin files given on the command line."""
        from siamesekit.registry.plugin_files import load_plugin_file

        for file in files:
            load_plugin_file(file)


def fault_in_words(error: Exception) -> str:
    """An unexpected error as one line."""
    if out_of_memory(error):
        return (
            "out of memory: lower data.size, sampler.batch_size or train.memory_gib, or take a smaller encoder "
            f"({in_one_line(str(error)) or type(error).__name__})"
        )
    if isinstance(error, OSError) and error.strerror:
        file = f"{line_of_name(os.fsdecode(error.filename))}: " if isinstance(error.filename, str | bytes) else ""
        return f"{file}{error.strerror}"
    if isinstance(error, RecursionError):
        return "the input is nested too deeply; --debug shows where"
    place = next(reversed([frame for frame in extract_tb(error.__traceback__) if PACKAGE in frame.filename]), None)
    where = "" if place is None else f" at {place.filename.rpartition(PACKAGE)[2]}:{place.lineno}"
    return (
        f"internal error of siamesekit{where}: {type(error).__name__}: {in_one_line(str(error))}; --debug prints the "
        "traceback: please report it"
    )


def _console(stderr: bool) -> Console:
    from rich.console import Console

    target = sys.stderr if stderr else sys.stdout
    # Not a terminal: do not wrap lines.
    width = None if target.isatty() else _columns(1_000_000 if stderr else 160)
    # No markup: names and paths may contain [brackets] and :colons:.
    return Console(
        stderr=stderr, width=width, soft_wrap=not target.isatty(), markup=False, emoji=False, highlight=False
    )


def _stat(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None


def _columns(otherwise: int) -> int:
    """The environment variable COLUMNS if it is a valid width, else `otherwise`."""
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else otherwise
