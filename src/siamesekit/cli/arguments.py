"""Arguments of `compare` and `embed` that stand in each other's place: said with the command that was meant."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from siamesekit.errors import UserError, line_of_name
from siamesekit.own_files import CHECKPOINTS, MANIFEST, MODEL

DESCRIPTION = "model.json"
"""The file by which a model's folder is known."""


def is_run(path: Path) -> bool:
    """Whether a path is a run's folder, finished or not, or a model's folder."""
    marks = (DESCRIPTION, f"{MODEL}/{DESCRIPTION}", MANIFEST, CHECKPOINTS)
    return any((path / mark).exists() for mark in marks)


def check_compared(run: Path, a: Path, b: Path) -> None:
    """Refuse a run and photos that stand in each other's place, and folders where photos are compared.

    Raises:
        UserError: with the command that was meant.
    """
    _run_first("compare", run, [a, b])
    folders = [line_of_name(str(path)) for path in (a, b) if path.is_dir()]
    if folders:
        are = "is a folder" if len(folders) == 1 else "are folders"
        raise UserError(
            f"{' and '.join(folders)} {are}; compare takes two photos. For all photos in folders: "
            f"siamesekit embed {_quoted(run, a, b)} -o embeddings.csv"
        )


def check_embedded(run: Path, inputs: Sequence[Path], output: Path) -> None:
    """Refuse a run and photos that stand in each other's place.

    Raises:
        UserError: with the command that was meant.
    """
    _run_first("embed", run, inputs, f" -o {_quoted(output)}")


def _run_first(command: str, run: Path, others: Sequence[Path], rest: str = "") -> None:
    meant = [path for path in others if is_run(path)]
    if len(meant) == 1 and not is_run(run):
        photos = [path for path in (run, *others) if path is not meant[0]]
        raise UserError(f"the run's folder comes first: siamesekit {command} {_quoted(meant[0], *photos)}{rest}")
    if run.is_file():
        raise UserError(f"{line_of_name(str(run))} is a file; the run's folder comes first: siamesekit {command} RUN "
                        f"{_quoted(*others)}{rest}")  # fmt: skip


def _quoted(*paths: Path) -> str:
    """Paths as a shell takes them, in one line."""
    return shlex.join(line_of_name(str(path)) for path in paths)
