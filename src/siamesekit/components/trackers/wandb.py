"""Tracker `wandb`: Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from siamesekit.components.trackers.tracker import Epoch, Tracked, TrackedRun
from siamesekit.registry import TRACKERS


@TRACKERS.register("wandb")
class WeightsAndBiases:
    """Weights & Biases, online or in files that `wandb sync` sends later.

    It needs wandb, `pip install 'siamesekit[wandb]'`, and online an account: `wandb login`. Figures of epochs have the
    epoch as their step; results and the place of the report are in the summary.

    Args:
        project: project of the run.
        entity: user or team of the project; empty: the user's default.
        mode: `online`, or `offline` for files in the folder `wandb`.
        group: name that the dashboard groups runs by, such as the folds of a cross-validation; empty: none.
        tags: tags of the run.
    """

    __module__ = "siamesekit"

    package = "wandb"

    def __init__(
        self,
        project: str = "siamesekit",
        entity: str = "",
        mode: Literal["online", "offline"] = "online",
        group: str = "",
        tags: tuple[str, ...] = (),
    ) -> None:
        self.project, self.entity, self.mode = project, entity, mode
        self.group, self.tags = group, tags
        self._run: Any = None

    def begin(self, run: TrackedRun) -> Tracked:
        """Begin or continue a run in the project."""
        import wandb

        self._run = wandb.init(
            project=self.project,
            entity=self.entity or None,
            name=run.name,
            id=run.id or None,
            resume="allow" if run.id else None,
            group=self.group or None,
            tags=list(self.tags) or None,
            config=dict(run.config),
            mode=self.mode,
            settings=wandb.Settings(console="off", silent=True),
        )
        for epoch in run.epochs:
            if epoch.number >= self._run.step:  # the next step: earlier ones are there
                self.log_epoch(epoch)
        where = self._run.url if self.mode == "online" else f"wandb sync {Path(self._run.dir).parent}"
        return Tracked(str(self._run.id), str(where))

    def log_epoch(self, epoch: Epoch) -> None:
        """Log the figures, with the epoch as step."""
        self._run.log(dict(epoch.figures), step=epoch.number)

    def log_result(self, figures: Mapping[str, float], report: Path) -> None:
        """Write the figures and the place of the report into the summary."""
        self._run.summary.update({**figures, "report": str(report)})

    def end(self, complete: bool) -> None:
        """Send what is left."""
        self._run.finish(exit_code=0 if complete else 1)
