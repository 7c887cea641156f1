"""The axes that a figure is drawn on, and the run that it is of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from siamesekit.errors import UserError
from siamesekit.experiment.run_result import RunResult
from siamesekit.files.run_files import EVALUATION
from siamesekit.files.untrusted import MAX_TABLE_BYTES
from siamesekit.files.untrusted_json import read_json
from siamesekit.wording import line_of_name

Run = RunResult | Path | str
"""A run: its result, or its folder."""


def axes_of(ax: Axes | None) -> Axes:
    """The axes, or those of a new figure, which a notebook shows."""
    if ax is not None:
        return ax
    import matplotlib.pyplot

    return matplotlib.pyplot.subplots(layout="constrained")[1]


def folder_of(run: Run) -> Path:
    """The folder of a run."""
    return run.folder if isinstance(run, RunResult) else Path(run).expanduser()


def name_of(run: Run) -> str:
    """A run in messages."""
    return f"the run in {line_of_name(str(folder_of(run)))}"


def evaluation_of(run: Run) -> Mapping[str, Any]:
    """The content of evaluation.json.

    Raises:
        UserError: there is no such file.
    """
    if isinstance(run, RunResult):
        return run.evaluation
    file = folder_of(run) / EVALUATION
    if not file.is_file():
        raise UserError(f"{line_of_name(str(file))} is missing: name the folder of a finished run")
    found = read_json(file, most=MAX_TABLE_BYTES)
    assert isinstance(found, dict)
    return found
