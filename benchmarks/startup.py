"""(e) Start-up: how long a command takes before it does anything."""

from __future__ import annotations

import sys

from benchmarks.harness import Contender, Headline, Outcome, Row, Setting, side_by_side

TITLE = "start-up"
HEADLINE = Headline(
    "`siamesekit --help` answers after {0.ours} s: not much later than the command-line library alone ({0.theirs} s), "
    "because torch, which alone takes {1.theirs} s, is not loaded for it.",
    (("`--help`", "`import typer`"), ("`--help`", "`import torch`")),
)
MEASURES = (
    "Seconds from starting the process to its end, interpreter included: `siamesekit --help` (called as "
    "`python -m siamesekit --help`) beside importing the command-line library alone, which no command line built on it "
    "can undercut, and beside importing PyTorch, which a command line that loads it at the top pays each time."
)


def measure(setting: Setting) -> Outcome:
    """Three commands, in turn."""
    python = sys.executable
    commands = {
        "`import typer`": [python, "-c", "import typer"],
        "`import torch`": [python, "-c", "import torch"],
        "siamesekit --help": [python, "-m", "siamesekit", "--help"],
    }
    contenders = [Contender(name, command) for name, command in commands.items()]
    typer, torch, ours = side_by_side(setting, 1 if setting.quick else 10, contenders)
    return Outcome([
        Row("e", "`--help`, s", peer.name, measured.best("wall_s"), ours.best("wall_s"))
        for peer, measured in zip(contenders, (typer, torch), strict=False)
    ])  # fmt: skip
