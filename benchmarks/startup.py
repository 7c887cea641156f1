"""(e) Start-up time of a command."""

from __future__ import annotations

import sys

from benchmarks.harness import Contender, Headline, Outcome, Row, Setting, side_by_side

TITLE = "start-up"
HEADLINE = Headline(
    "`siamesekit --help` takes {0.ours} s, little more than importing the command-line library alone ({0.theirs} s), "
    "because it does not load torch, whose import takes {1.theirs} s.",
    (("`--help`", "`import typer`"), ("`--help`", "`import torch`")),
)
MEASURES = (
    "Seconds from start to end of the process, including the interpreter: `siamesekit --help` (called as "
    "`python -m siamesekit --help`), compared with importing only the command-line library, which is a lower bound for "
    "every command line built on it, and with importing PyTorch, the least cost of a command line that always loads it."
)


def measure(setting: Setting) -> Outcome:
    """Measure three commands in turn."""
    python = sys.executable
    commands = {
        "`import typer`": [python, "-c", "import typer"],
        "`import torch`": [python, "-c", "import torch"],
        "siamesekit --help": [python, "-m", "siamesekit", "--help"],
    }
    contenders = [Contender(name, command) for name, command in commands.items()]
    typer, torch, ours = side_by_side(setting, 1 if setting.quick else 10, contenders)
    return Outcome(
        [
            Row("e", "`--help`, s", peer.name, measured.best("wall_s"), ours.best("wall_s"))
            for peer, measured in zip(contenders, (typer, torch), strict=False)
        ]
    )
