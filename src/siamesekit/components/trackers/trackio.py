"""Tracker `trackio`: Trackio of Hugging Face."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from siamesekit.components.trackers.tracker import Epoch, Tracked, TrackedRun
from siamesekit.registry import TRACKERS


@TRACKERS.register("trackio")
class Trackio:
    """Trackio, on this machine (`trackio show` opens it), on a server, or in a Space of Hugging Face.

    It needs Trackio: `pip install 'siamesekit[trackio]'`. Figures of epochs have the epoch as their step; results and
    the place of the report follow at the last epoch.

    Args:
        project: project of the run.
        space: a Space of Hugging Face, such as `me/seals`; empty: this machine, or what the environment variables
            `TRACKIO_SPACE_ID` and `TRACKIO_SERVER_URL` name.
        group: name that the dashboard groups runs by; empty: none.
    """

    __module__ = "siamesekit"

    package = "trackio"

    def __init__(self, project: str = "siamesekit", space: str = "", group: str = "") -> None:
        self.project, self.space, self.group = project, space, group
        self._run: Any = None
        self._last = 0

    def begin(self, run: TrackedRun) -> Tracked:
        """Begin or continue a run in the project."""
        import trackio

        name = run.id or f"{run.name}-{datetime.now():%Y%m%d-%H%M%S-%f}"  # Trackio finds runs by their names
        self._run = trackio.init(
            project=self.project,
            name=name,
            group=self.group or None,
            space_id=self.space or None,
            config=dict(run.config),
            resume="allow" if run.id else "never",
            embed=False,
        )
        for epoch in run.epochs:
            self._last = epoch.number
            if not run.id:  # otherwise they were sent when they were complete
                self.log_epoch(epoch)
        where = (
            f"trackio show --project {self.project}"
            if not self.space
            else f"https://huggingface.co/spaces/{self.space}"
        )
        return Tracked(name, where)

    def log_epoch(self, epoch: Epoch) -> None:
        """Log the figures, with the epoch as step."""
        self._last = epoch.number
        self._run.log(dict(epoch.figures), step=epoch.number)

    def log_result(self, figures: Mapping[str, float], report: Path) -> None:
        """Log the figures and the place of the report at the last epoch."""
        self._run.log({**figures, "report": str(report)}, step=self._last)

    def end(self, complete: bool) -> None:
        """Send what is left."""
        self._run.finish()
