"""Common parts of all benchmarks: contenders measured in turn in fresh processes, and rows of a table."""

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
"""Suffix of a ratio."""
TIMEOUT = 7200.0
"""Seconds after which a measurement is aborted."""


@dataclass(frozen=True)
class Setting:
    """Settings of a benchmark.

    Attributes:
        quick: whether to use small sizes, whose figures mean nothing.
        device: `cpu` or `cuda`.
        folder: temporary folder for files.
        say: function that prints a line about progress.
    """

    quick: bool
    device: str
    folder: Path
    say: Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """A line of the table: one quantity of two contenders, less is better; text replaces a missing figure."""

    benchmark: str
    what: str
    peer: str
    theirs: float | str
    ours: float | str

    def cells(self) -> list[str]:
        """The cells as printed; the ratio is that of the printed figures."""
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
    """A benchmark's result in a sentence or two, with figures from its rows.

    Attributes:
        text: format string with `{0.ours}`, `{0.theirs}` and `{0.ratio}` for the first row, and so on.
        rows: beginning of the quantity, and peer, of each row.
    """

    text: str
    rows: tuple[tuple[str, str], ...]

    def told(self, outcome: Outcome) -> str:
        """The text with its figures; empty if a row or a figure is missing."""
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
    """Rows of a benchmark, and notes about them."""

    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    def complete(self) -> bool:
        """Whether every row has this library's figure; a peer's may be missing, and the row says why."""
        return bool(self.rows) and all(isinstance(row.ours, float) for row in self.rows)


@dataclass(frozen=True)
class Contender:
    """A measured program: a function, called in a fresh process, or a command.

    Attributes:
        name: name in the table.
        target: `benchmarks.module:function`, or a command that is timed as a whole.
        arguments: arguments of the function.
        needs: required modules; without them the contender is left out.
        refused: why the contender is not run; empty if it is.
    """

    name: str
    target: str | Sequence[str]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    refused: str = ""

    def missing(self) -> str:
        """Why the contender cannot run; empty if it can."""
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return self.refused or (f"left out: {', '.join(absent)} not installed" if absent else "")


@dataclass
class Measured:
    """Results of a contender's rounds; `problem` says why there are none."""

    rounds: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""

    def best(self, key: str, scale: float = 1.0) -> float | str:
        """The smallest value of all rounds, because other load on the machine only adds."""
        return self.problem or scale * min(float(each[key]) for each in self.rounds)

    def most(self, key: str) -> float | str:
        """The largest value of all rounds."""
        return self.problem or max(float(each[key]) for each in self.rounds)

    def last(self, key: str) -> Any:
        """The value of the last round; None without rounds."""
        return self.rounds[-1].get(key) if self.rounds and not self.problem else None


class FailedError(Exception):
    """A measurement failed; the message says why."""


def side_by_side(setting: Setting, rounds: int, contenders: Sequence[Contender]) -> list[Measured]:
    """Measure the contenders in turn, `rounds` times; a contender that fails is not run again."""
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
    """Run a contender in a fresh process.

    Returns:
        The contender's results, with `wall_s`, the duration of the whole process.

    Raises:
        FailedError: The process ended with an error or took too long.
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
            raise FailedError(f"timed out after {TIMEOUT:.0f} s") from None
        wall = time.perf_counter() - start
        if done.returncode:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["killed"]
            raise FailedError(f"exit code {done.returncode}, {lines[-1][:160].replace('|', '/')}")
        given: dict[str, Any] = json.loads(result.read_text()) if result.exists() else {}
        return {**given, "wall_s": wall}


def fastest(call: Callable[[], object], device: str, seconds: float, least: int = 2) -> float:
    """Seconds of the fastest call after a warm-up call, measured for at least `seconds` and `least` calls."""
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
    """Peak memory of a CUDA device, which replaces that of the process; empty on the CPU."""
    if device != "cuda":
        return {}
    import torch

    return {"peak_mib": torch.cuda.max_memory_allocated() / 2**20}


def figure(value: float, digits: int = 4) -> str:
    """A positive number with the given number of significant digits, without an exponent."""
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
