"""What all benchmarks share: contenders measured in fresh processes in turn, and rows of a table."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TIMES = "\N{NO-BREAK SPACE}×"
"""What stands behind a ratio."""
TIMEOUT = 7200.0
"""Seconds after which a measurement is given up."""


@dataclass(frozen=True)
class Setting:
    """How a benchmark is to run.

    Attributes:
        quick: small sizes, whose figures mean nothing.
        device: `cpu` or `cuda`.
        folder: for files, gone afterwards.
        say: is told what happens.
    """

    quick: bool
    device: str
    folder: Path
    say: Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """A line of the table: the same quantity of two contenders, less is better; text where there is no figure."""

    benchmark: str
    what: str
    peer: str
    theirs: float | str
    ours: float | str

    def cells(self) -> list[str]:
        """As printed; the ratio is the quotient of the printed figures."""
        theirs, ours = _cell(self.theirs), _cell(self.ours)
        both = isinstance(self.theirs, float) and isinstance(self.ours, float)
        ratio = figure(float(theirs) / float(ours), 3) + TIMES if both and float(ours) else "—"
        return [f"({self.benchmark})", self.what, self.peer, theirs, ours, ratio]


@dataclass(frozen=True)
class Cells:
    """A row's figures as printed."""

    ours: str
    theirs: str
    ratio: str


@dataclass(frozen=True)
class Headline:
    """What a benchmark says in a sentence or two, its figures taken from the rows.

    Attributes:
        text: with `{0.ours}`, `{0.theirs}` and `{0.ratio}` of the first of the rows, and so on.
        rows: how a row's quantity begins, and its peer.
    """

    text: str
    rows: tuple[tuple[str, str], ...]

    def told(self, outcome: Outcome) -> str:
        """The text; empty where a row or a figure is lacking."""
        found = []
        for what, peer in self.rows:
            row = next((row for row in outcome.rows if row.what.startswith(what) and row.peer == peer), None)
            if row is None or not (isinstance(row.ours, float) and isinstance(row.theirs, float)):
                return ""
            _, _, _, theirs, ours, ratio = row.cells()
            found.append(Cells(ours, theirs, ratio))
        return self.text.format(*found)


@dataclass(frozen=True)
class Outcome:
    """A benchmark's rows, and remarks on them."""

    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    def complete(self) -> bool:
        """Whether ours was measured in every row; of a peer, the row itself says why it was not."""
        return bool(self.rows) and all(isinstance(row.ours, float) for row in self.rows)


@dataclass(frozen=True)
class Contender:
    """What is measured: a function by name, called in a fresh process, or a command.

    Attributes:
        name: for people.
        target: `benchmarks.module:function`, or a command to be timed as a whole.
        arguments: the function's.
        needs: modules without which it is left out.
        refused: why it is not run, if it is not.
    """

    name: str
    target: str | Sequence[str]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    refused: str = ""

    def missing(self) -> str:
        """Why it cannot run, or nothing."""
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return self.refused or (f"left out: {', '.join(absent)} not installed" if absent else "")


@dataclass
class Measured:
    """What a contender's rounds gave; `problem` says why there is nothing."""

    rounds: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""

    def best(self, key: str, scale: float = 1.0) -> float | str:
        """The smallest of the rounds: what else runs on the machine only ever adds."""
        return self.problem or scale * min(float(each[key]) for each in self.rounds)

    def most(self, key: str) -> float | str:
        """The largest of the rounds."""
        return self.problem or max(float(each[key]) for each in self.rounds)

    def last(self, key: str) -> Any:
        """What the last round gave, None without one."""
        return self.rounds[-1].get(key) if self.rounds and not self.problem else None


class FailedError(Exception):
    """A measurement failed, and why."""


def side_by_side(setting: Setting, rounds: int, contenders: Sequence[Contender]) -> list[Measured]:
    """Measure the contenders in turn, `rounds` times; one that fails is not asked again."""
    measured = [Measured(problem=contender.missing()) for contender in contenders]
    for number in range(1, rounds + 1):
        for contender, result in zip(contenders, measured, strict=True):
            if result.problem:
                if number == 1:
                    setting.say(f"  {contender.name}: {result.problem}")
                continue
            try:
                given = fresh(contender, setting.folder)
            except FailedError as error:
                result.problem = f"failed: {error}"
                setting.say(f"  {contender.name}: {result.problem}")
                continue
            result.rounds.append(given)
            setting.say(f"  round {number}/{rounds}  {contender.name}: {_shown(given)}")
    return measured


def fresh(contender: Contender, folder: Path) -> dict[str, Any]:
    """Run in a process of its own; what it gives, with `wall_s`, the whole process's duration.

    Raises:
        FailedError: it ended with an error or took too long.
    """
    with tempfile.TemporaryDirectory(dir=folder) as own:
        result = Path(own) / "result.json"
        if isinstance(contender.target, str):
            command = [sys.executable, "-m", "benchmarks.child", contender.target,
                       json.dumps(dict(contender.arguments)), str(result)]  # fmt: skip
        else:
            command = list(contender.target)
        start = time.perf_counter()
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, env=_environment()
            )
        except subprocess.TimeoutExpired:
            raise FailedError(f"no end after {TIMEOUT:.0f} s") from None
        wall = time.perf_counter() - start
        if done.returncode:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["killed"]
            raise FailedError(f"exit code {done.returncode}, {lines[-1][:160].replace('|', '/')}")
        given: dict[str, Any] = json.loads(result.read_text()) if result.exists() else {}
        return {**given, "wall_s": wall}


def fastest(call: Callable[[], object], device: str, seconds: float, least: int = 2) -> float:
    """Seconds of the fastest call, after one that does not count, over at least so many seconds and calls."""
    wait = _waiter(device)
    call()
    wait()
    best, calls, begin = math.inf, 0, time.perf_counter()
    while calls < least or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        call()
        wait()
        best, calls = min(best, time.perf_counter() - start), calls + 1
    return best


def device_peak(device: str) -> dict[str, float]:
    """On a CUDA device its own peak takes the place of the process's."""
    if device != "cuda":
        return {}
    import torch

    return {"peak_mib": torch.cuda.max_memory_allocated() / 2**20}


def figure(value: float, digits: int = 4) -> str:
    """A positive number with so many significant digits, without an exponent."""
    if value <= 0:
        return str(value)
    places = max(0, digits - 1 - math.floor(math.log10(value)))
    return f"{value:.{places}f}"


def _cell(value: float | str) -> str:
    return figure(value) if isinstance(value, float) else value


def _shown(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {figure(value)}" for key, value in given.items() if isinstance(value, float))


def _waiter(device: str) -> Callable[[], object]:
    if device != "cuda":
        return lambda: None
    import torch

    return torch.cuda.synchronize


def _environment() -> dict[str, str]:
    return os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_USE_LEGACY_KERAS": "1", "HF_HUB_OFFLINE": "1"}
