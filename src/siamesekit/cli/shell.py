"""What the commands share: printing, progress, errors to exit codes."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from siamesekit.errors import SiamesekitError, UserError
from siamesekit.progress import Item, Progress
from siamesekit.stopping import Stop, Stopped

WIDE = 120
"""Columns from which on a list says where each component comes from."""

if TYPE_CHECKING:
    from rich.console import Console

    from siamesekit.artifact import Comparison
    from siamesekit.projects import Project
    from siamesekit.registry import Component, Registry


class Shell(Progress):
    """A command's surroundings: as a context it turns errors into a few lines on stderr and an exit code.

    0 done, 1 failed while running, 2 the user's input is wrong, 130 stopped by Ctrl-C, 143 by SIGTERM.

    Args:
        debug: let errors through with their traceback.
        quiet: say nothing on stdout but JSON; warnings go to stderr.
    """

    def __init__(self, debug: bool = False, quiet: bool = False) -> None:
        self.debug = debug
        self.quiet = quiet
        self.resume: tuple[Path, str] | None = None
        """Where there is something to resume once this file is there, and the command that does it."""
        self._out: Console | None = None
        self._err: Console | None = None

    def __enter__(self) -> Self:
        """Load installed plugins; a failing one is named and passed over."""
        from siamesekit.plugins import load_installed_plugins

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
            if self.resume is not None and self.resume[0].is_file():
                self.error(f"to go on: {self.resume[1]}")
            sys.exit(128 + (error.number if isinstance(error, Stopped) else signal.SIGINT))
        if isinstance(error, OSError) and not self.debug and not isinstance(error, BrokenPipeError):
            self.error(f"error: {error}")
            sys.exit(1)
        if self.debug or not isinstance(error, SiamesekitError):
            return
        self.error(f"error: {error}")
        sys.exit(2 if isinstance(error, UserError) else 1)

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

    def error(self, text: str) -> None:
        """A line on stderr."""
        self.err.print(text, style="bold red" if self.err.is_terminal else None)

    def say(self, text: str) -> None:
        """A line of news."""
        if not self.quiet:
            self.out.print(text)

    def warn(self, text: str) -> None:
        """A line that must not be overlooked, on stderr."""
        self.err.print(text, style="bold yellow" if self.err.is_terminal else None)

    @contextmanager
    def stoppable(self) -> Iterator[Stop]:
        """Ctrl-C and SIGTERM let a training step finish and be saved; a second one stops at once."""

        def asked(number: int) -> None:
            self.warn(f"{signal.Signals(number).name}: finishing this step and saving; once more stops at once")

        stop = Stop(asked)
        with stop.listening():
            yield stop

    def lines(self, lines: Iterable[str]) -> None:
        """Plain lines."""
        sys.stdout.writelines(f"{line}\n" for line in lines)

    def json(self, value: Any) -> None:
        """One JSON document on stdout."""
        print(json.dumps(value, indent=2, ensure_ascii=False, default=str))

    def track(self, items: Iterable[Item], total: int, label: str, unit: str) -> Iterator[Item]:
        """A progress bar on a terminal; elsewhere a line at most every ten seconds."""
        if self.quiet:
            yield from items
        elif self.out.is_terminal:
            yield from self._bar(items, total, label, unit)
        else:
            yield from self._lines(items, total, label, unit)

    def _bar(self, items: Iterable[Item], total: int, label: str, unit: str) -> Iterator[Item]:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        bars = Bars(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), console=self.out, transient=True,
        )  # fmt: skip
        with bars:
            task = bars.add_task(label, total=total, rate="")
            start = time.perf_counter()
            for count, item in enumerate(items, 1):
                yield item
                rate = count / max(time.perf_counter() - start, 1e-9)
                bars.update(task, completed=count, rate=f"{rate:.1f}/s")

    def _lines(self, items: Iterable[Item], total: int, label: str, unit: str) -> Iterator[Item]:
        start = last = time.perf_counter()
        for count, item in enumerate(items, 1):
            yield item
            now = time.perf_counter()
            if now - last > 10 and count < total:
                last = now
                rate = count / (now - start)
                left = (total - count) / rate
                self.say(f"{label}: {count}/{total} {unit}, {rate:.1f}/s, {left:.0f} s left")

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

    def evaluation(self, evaluation: Mapping[str, Any], folder: str, manifest: Mapping[str, Any]) -> None:
        """The figures of a finished run."""
        from siamesekit.cli.tables import evaluation_table

        self.out.print(evaluation_table(evaluation))
        threshold = evaluation["threshold"]
        if threshold is not None:
            self.say(f"threshold {threshold['threshold']:.4f} ({threshold['criterion']})")
        for note in evaluation["notes"]:
            self.say(note)
        for stand_in in manifest["stand_ins"]:
            self.warn(f"These figures are of a stand-in: {stand_in['used']} in place of {stand_in['wanted']}. "
                      f"For the real thing: {stand_in['hint']}")  # fmt: skip
        self.say(f"{manifest['seconds']['total'] / 60:.1f} min; report: {folder}/report.html")

    def plan(self, plan: Mapping[str, Any]) -> None:
        """What a run would do."""
        from siamesekit.cli.tables import plan_table

        self.out.print(plan_table(plan))

    def comparison(self, comparison: Comparison, description: Mapping[str, Any]) -> None:
        """Two photos compared."""
        self.say(f"distance    {comparison.distance:.4f}")
        if comparison.similarity is None or comparison.threshold is None:
            self.say("similarity  unknown: this model ships no threshold (its evaluation.json says why)")
            return
        verdict = "same individual" if comparison.same else "different individuals"
        self.say(f"similarity  {comparison.similarity:.3f}")
        self.say(f"verdict     {verdict} (threshold {comparison.threshold:.4f})")
        point = description["operating_point"]
        worth = point["cross_fit"]
        if worth is not None:
            self.say(
                f"at this threshold, of {worth['different_pairs']:,} different pairs "
                f"{worth['false_accept_rate']['value']:.1%} are called same, and of {worth['same_pairs']:,} same pairs "
                f"{worth['false_reject_rate']['value']:.1%} different (cross-fitted on {point['individuals']} "
                "individuals that did not train)"
            )
        for stand_in in description["stand_ins"]:
            self.warn(f"trained with a stand-in: {stand_in['used']} in place of {stand_in['wanted']}")

    def components(self, registries: Sequence[Registry]) -> None:
        """Components by kind; where each comes from only on a wide terminal."""
        from siamesekit.cli.tables import components_table

        width = max(len(name) for registry in registries for name in [registry.plural, *registry.names()])
        for registry in registries:
            self.out.print(components_table(registry, self.out.width >= WIDE, width))

    def project(self, project: Project) -> None:
        """A new project, and the commands to go on with."""
        self.say(f"{project.photos}:")
        for line in project.found:
            self.say(f"  {line}")
        self.say("written:")
        for file in project.files:
            self.say(f"  {file}")
        self.say("next:")
        for command in project.commands:
            self.say(f"  {command}")

    def members(self, family: Component, registry: Registry) -> None:
        """A family's members that have options of their own."""
        from siamesekit.cli.tables import members_table

        self.out.print(members_table(family, registry))
        self.say(f"{len(family.members())} {registry.plural}; one of them: "
                 f"siamesekit show {registry.kind} {family.name.removesuffix('*')}NAME")  # fmt: skip

    def family(self, family: Component, registry: Registry) -> None:
        """What a family is, and how to list it."""
        prefix = family.name.removesuffix("/*")
        self._heading(family, family.name, registry)
        self.say(f"\nA family of {len(family.members())}; a config names one of them: {prefix}/NAME")
        self.say(f"all of them:   siamesekit list {registry.plural} {prefix}")
        self.say(f"one of them:   siamesekit show {registry.kind} {prefix}/NAME")

    def component(self, component: Component, name: str, registry: Registry) -> None:
        """One component, by the name that was asked for."""
        from siamesekit.cli.catalogue import snippet, supplied, table_of
        from siamesekit.cli.tables import options_table
        from siamesekit.registry import registry_of

        self._heading(component, name, registry)
        if component.options:
            self.out.print(options_table(component))
        else:
            self.say("\nNo options.")
        place, _ = table_of(component.kind)
        for option in component.options:
            if option.nested is not None:
                table = f"[[{place}.{option.name}]]" if option.many else f"[{place}.{option.name}]"
                plural = registry_of(option.nested.kind).plural
                what = "are tables" if option.many else "is a table"
                self.say(f"{table} {what}: siamesekit list {plural}")
        if supplied(component):
            self.say(f"supplied by the run, not to be set: {', '.join(supplied(component))}")
        self.say("\nin a config:\n")
        self.lines(snippet(component, name).splitlines())

    def _heading(self, component: Component, name: str, registry: Registry) -> None:
        from siamesekit.cli.catalogue import reflowed

        self.say(f"{registry.kind} {name}: {registry.purpose}")
        self.say(f"from {component.origin}")
        if component.source:
            self.say(f"adapts {component.source}")
        self.lines(["", *reflowed(component.doc, self.out.width).splitlines()])


def _console(stderr: bool) -> Console:
    from rich.console import Console

    target = sys.stderr if stderr else sys.stdout
    # Where nobody watches, a line is a line: no wrapping at a guessed width.
    width = None if target.isatty() else _columns(1_000_000 if stderr else 160)
    # Text is printed as it is: names and paths may hold [brackets] and :colons:.
    return Console(
        stderr=stderr, width=width, soft_wrap=not target.isatty(), markup=False, emoji=False, highlight=False
    )


def _columns(otherwise: int) -> int:
    """The environment's COLUMNS, where it is a width."""
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else otherwise
