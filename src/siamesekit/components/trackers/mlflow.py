"""Tracker `mlflow`: a server of MLflow, or its files."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siamesekit.components.trackers.tracker import Epoch, Tracked, TrackedRun
from siamesekit.files.remote_address import refuse_secrets, without_secrets
from siamesekit.registry import TRACKERS

WAITING = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}
"""Settings of MLflow that are not set already: by default it asks a server that is away for minutes."""
BATCH = 100
"""Most parameters that MLflow takes at a time."""
LONGEST = 500
"""Most characters of a parameter that all servers take."""


@TRACKERS.register("mlflow")
class MLflow:
    """A run in MLflow: settings as parameters, figures of epochs and results as metrics, the report's place as a tag.

    It needs `pip install 'siamesekit[mlflow]'`, which installs mlflow-skinny: enough for a server
    (`uri = "http://localhost:5000"`). A database on this machine (`sqlite:///mlflow.db`) needs `pip install mlflow`.

    Args:
        uri: address of the server or store, without a password, which the run's folder would keep; empty: as MLflow
            says, by the environment variable `MLFLOW_TRACKING_URI`.
        experiment: experiment of the run; it is created if it does not exist.
    """

    __module__ = "siamesekit"

    package = "mlflow"

    def __init__(self, uri: str = "", experiment: str = "siamesekit") -> None:
        refuse_secrets(uri, "leave uri out, and set MLFLOW_TRACKING_URI, MLFLOW_TRACKING_USERNAME or the like")
        self.uri, self.experiment = uri, experiment
        self._client: Any = None
        self._run = ""
        self._last = 0

    def begin(self, run: TrackedRun) -> Tracked:
        """Begin or continue a run in the experiment."""
        for name, value in WAITING.items():  # of this process, which is the tracker's own
            os.environ.setdefault(name, value)
        import mlflow
        from mlflow.entities import Param

        self._client = mlflow.MlflowClient(tracking_uri=self.uri or None)
        known: set[int] = set()
        if run.id:
            self._run = run.id
            self._client.update_run(run.id, status="RUNNING")
            known = {int(each.step) for each in self._client.get_metric_history(run.id, "seconds")}
        else:
            found = self._client.get_experiment_by_name(self.experiment)
            home = found.experiment_id if found is not None else self._client.create_experiment(self.experiment)
            self._run = self._client.create_run(home, run_name=run.name).info.run_id
            settings = [Param(key, str(value)[:LONGEST]) for key, value in run.settings().items()]
            for start in range(0, len(settings), BATCH):
                self._client.log_batch(self._run, params=settings[start : start + BATCH])
        for epoch in run.epochs:
            if epoch.number not in known:
                self.log_epoch(epoch)
            self._last = epoch.number
        return Tracked(self._run, f"run {self._run} of {without_secrets(self.uri or mlflow.get_tracking_uri())}")

    def log_epoch(self, epoch: Epoch) -> None:
        """Log a metric for each figure, with the epoch as step."""
        self._last = epoch.number
        self._metrics(epoch.figures)

    def log_result(self, figures: Mapping[str, float], report: Path) -> None:
        """Log a metric for each figure, and a tag with the place of the report."""
        self._metrics(figures)
        self._client.set_tag(self._run, "report", str(report))

    def end(self, complete: bool) -> None:
        """Give the run its last status."""
        self._client.set_terminated(self._run, "FINISHED" if complete else "KILLED")

    def _metrics(self, figures: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(
            self._run, metrics=[Metric(key, value, now, self._last) for key, value in figures.items()]
        )
