"""The page docs/benchmarks.md: results, table and method of each benchmark; the machine; attempts that did not pay."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.harness import Headline, Outcome, Row, Setting

TRIED = Path(__file__).with_name("tried.md")
GROWTH = Path(__file__).with_name("growth.md")
"""Written by `python -m benchmarks.growth`; without it the page has no such section."""
MILLIONS = Path(__file__).with_name("millions.md")
"""Written by `python -m benchmarks.millions`; without it the page has no such section."""
FLOOR = Path(__file__).with_name("floor.md")
"""Written by `python -m benchmarks.floor`; without it the page has no such section."""
PACKAGES = (
    "siamesekit", "torch", "torchvision", "timm", "tensorflow-cpu", "tensorflow", "tf_keras", "faiss-cpu",
    "pytorch-metric-learning", "numpy", "pillow",
)  # fmt: skip
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")


def page(
    outcomes: Mapping[str, Outcome],
    titles: Mapping[str, str],
    headlines: Mapping[str, Headline],
    measures: Mapping[str, str],
    setting: Setting,
    load: str,
) -> str:
    """The text of the whole page.

    Args:
        outcomes: results of the benchmarks that ran, by letter.
        titles: their titles.
        headlines: their headlines.
        measures: descriptions of what they measure.
        setting: their settings.
        load: load average of the machine before they ran.
    """
    parts = ["# Benchmarks", "Written by `python -m benchmarks`; do not edit by hand."]
    if setting.quick:
        parts.append("**A quick run: the sizes are small and the figures mean nothing.**")
    parts.append(
        "Smaller is better in every row. The ratio in brackets is the other program's figure divided by this "
        "library's; below 1 the other program needs less. If a program was not run, its cell says why. All figures are "
        "from one machine, described [below](#the-machine); sections that were measured elsewhere name theirs."
    )
    parts.append(
        "Every measurement runs in a separate process. The programs take turns over several rounds; the tables show "
        "the fastest round and the largest memory."
    )
    for letter, outcome in outcomes.items():
        parts.append(f"## ({letter}) {titles[letter]}")
        if told := headlines[letter].told(outcome):
            parts.append(told)
        if outcome.rows:
            parts.append(table(side_by_side(outcome.rows)))
        parts.append(measures[letter])
        if outcome.notes:
            parts.append("\n".join(f"- {note}" for note in outcome.notes))
    if GROWTH.exists():
        parts += ["## How time and memory grow", GROWTH.read_text(encoding="utf-8").rstrip("\n")]
    if MILLIONS.exists():
        parts += ["## Catalogues of millions", MILLIONS.read_text(encoding="utf-8").rstrip("\n")]
    if FLOOR.exists():
        parts += ["## How near training comes to its products", FLOOR.read_text(encoding="utf-8").rstrip("\n")]
    parts.append("## The machine")
    parts.append(table([("", ""), *machine(setting, load)], left=True))
    parts.append("## Tried, did not pay")
    return "\n\n".join(parts) + "\n\n" + TRIED.read_text(encoding="utf-8")


def side_by_side(rows: Sequence[Row]) -> list[list[str]]:
    """Header and lines of a table: for each quantity our figure, and each peer's with its ratio in brackets."""
    peers = list(dict.fromkeys(row.peer for row in rows))
    lines: dict[str, list[str]] = {}
    for row in rows:
        _, what, peer, theirs, ours, ratio = row.cells()
        line = lines.setdefault(what, [what, ours, *("" for _ in peers)])
        line[2 + peers.index(peer)] = theirs if ratio == "—" else f"{theirs} ({ratio})"
    return [["quantity", "ours", *peers], *lines.values()]


def machine(setting: Setting, load: str) -> list[tuple[str, str]]:
    """The machine and software of the benchmarks, as pairs of label and text."""
    info = _cpu_info()
    flags = info.get("flags", "").split()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    instructions = ", ".join(f"{flag} {'yes' if flag in flags else 'no'}" for flag in FLAGS)
    return [
        ("date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("processor", info.get("model name", platform.processor() or platform.machine())),
        ("cores", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())),
        ("instructions", instructions if flags else "unknown"),
        ("memory", f"{memory:.1f} GiB"),
        ("device", _device(setting)),
        ("load average at the start", load),
        ("system", f"{platform.system()} {platform.release()}"),
        ("Python", platform.python_version()),
        *((name, _version(name)) for name in PACKAGES),
    ]


MACHINE = ("date", "processor", "cores", "instructions", "memory", "load average at the start", "Python", "torch")
"""What a section tells of its machine."""


def section(lines: Sequence[Sequence[str]], text: str, facts: Mapping[str, str], words: int = 1) -> str:
    """A section that is measured by itself: its table, its text, and its machine.

    Args:
        lines: lines of the table, the header first.
        text: what is measured.
        facts: the machine, by `machine`.
        words: number of columns that are no numbers.
    """
    told = "; ".join(f"{name} {facts[name]}" for name in MACHINE)
    return f"{table(lines, words=words)}\n\n{text}\n\nThe machine of this section: {told}.\n"


def _device(setting: Setting) -> str:
    if setting.device != "cuda":
        return "CPU"
    import torch

    return torch.cuda.get_device_name()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu_info() -> dict[str, str]:
    file = Path("/proc/cpuinfo")
    if not file.exists():
        return {}
    lines = (line.partition(":") for line in file.read_text().split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def table(rows: Sequence[Sequence[str]], left: bool = False, words: int = 1) -> str:
    """A table of Markdown, the header first; all columns but the first `words` are numbers, unless `left`."""
    header, *others = ("| " + " | ".join(row) + " |" for row in rows)
    aligned = ("---" if left or index < words else "---:" for index in range(len(rows[0])))
    return "\n".join([header, f"| {' | '.join(aligned)} |", *others])
