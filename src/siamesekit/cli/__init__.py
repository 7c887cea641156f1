"""The command line: parse, call one function, print. Nothing here imports torch before a command needs it."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """The `siamesekit` command; imported when it runs, so that Ctrl-C while it is imported is no traceback."""
    try:
        from siamesekit.cli.app import run_app

        run_app()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
