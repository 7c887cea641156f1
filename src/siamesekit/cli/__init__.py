"""The command line: parse, call one function, print. Nothing here imports torch before a command needs it."""

from __future__ import annotations

from siamesekit.cli.app import main

__all__ = ["main"]
