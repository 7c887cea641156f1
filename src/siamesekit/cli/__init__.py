"""The command line: parse, call one function, print. torch is imported only by commands that need it."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """The `siamesekit` command. The imports happen inside, so that Ctrl-C during them prints no traceback."""
    try:
        from siamesekit.cli.app import run_app

        run_app()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
