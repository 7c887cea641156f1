"""The command line's own help, a section for each command."""

from __future__ import annotations

import typer.main
from typer.testing import CliRunner

from siamesekit.cli.app import app

WIDTH = 92


def commands() -> list[str]:
    """The names of all commands, in the order of `siamesekit --help`."""
    group = typer.main.get_command(app)
    return list(group.commands)  # type: ignore[attr-defined]


def command_line() -> str:
    """What `siamesekit --help` and each command's `--help` print."""
    parts = [_help()]
    parts += [f"## {name}\n\n{_help(name)}" for name in commands()]
    return "\n\n".join(parts)


def _help(*command: str) -> str:
    asked = [*command, "--help"]
    answered = CliRunner().invoke(app, asked, prog_name="siamesekit", terminal_width=WIDTH, color=False)
    if answered.exit_code:
        raise RuntimeError(f"siamesekit {' '.join(asked)}: {answered.output}")
    return f"```text\n{answered.output.strip()}\n```"
