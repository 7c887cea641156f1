"""The trackers of a run: they are built before it begins, told its figures, and left out if they fail."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from siamesekit.config import Config
from siamesekit.errors import ComponentError, UserError
from siamesekit.experiment.tracker_process import TrackerProcess
from siamesekit.files.remote_address import without_secrets
from siamesekit.files.run_files import EVENTS
from siamesekit.progress import Progress
from siamesekit.registry import TRACKERS
from siamesekit.registry.component_faults import SESSION, called, is_own
from siamesekit.registry.component_faults import told as told_of
from siamesekit.wording import in_one_line

PATIENCE_TO_BEGIN = 60.0
"""Seconds that a tracker has to begin."""
PATIENCE = 60.0
"""Seconds that a tracker has for the figures of an epoch, which nobody waits for, and at the end of a run."""
ENDING = 5.0
"""Seconds that the process of a tracker has to end after its last answer."""
Table = Mapping[str, Any]
"""Name and options of a tracker."""


def trackers_of(config: Config) -> list[dict[str, Any]]:
    """Name and options of each tracker of a config as values of JSON, `several` taken apart."""
    if config.track is None:
        return []
    tables: list[dict[str, Any]] = json.loads(
        json.dumps(list(_apart(config.track.component, config.track.options)), default=str)
    )
    return tables


def _apart(name: str, options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if name != "several":
        yield {"name": name, "options": dict(options)}
        return
    for table in options["trackers"]:
        yield from _apart(table["name"], {key: value for key, value in table.items() if key != "name"})


def refuse_missing_trackers(config: Config) -> None:
    """Refuse trackers that cannot be built, or whose packages are missing.

    Raises:
        UserError: a package is missing; the message has the command that installs it.
        ComponentError: a tracker cannot be built, or is defined in this session and not in a file.
        PluginError: a plugin's tracker fails, or is none.
    """
    if config.track is None:
        return
    TRACKERS.build_for_run(config.track.component, config.track.options)
    for table in trackers_of(config):
        component = TRACKERS.get(table["name"])
        if component.origin == SESSION:
            raise ComponentError(
                f"{called(component)} runs in a process of its own, which does not know this session: put it into a "
                'plugin file, plugins = ["mine.py"]'
            )
        package = getattr(TRACKERS.build_for_run(table["name"], table["options"]), "package", "")
        if package and not _is_installed(package):
            wanted = f"'siamesekit[{component.name}]'" if is_own(component) else package
            raise UserError(f"{called(component)} needs the package {package}: pip install {wanted}")


def _is_installed(package: str) -> bool:
    """Whether a package can be imported; a folder of its name without modules, as `wandb` leaves it, does not count."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


class Tracking:
    """The trackers of a run. As a context, it ends them with the run.

    Args:
        config: config of the run.
        progress: shows where the run is tracked, and one warning for each tracker that fails.
    """

    def __init__(self, config: Config, progress: Progress) -> None:
        self.config, self.progress = config, progress
        self._processes: list[TrackerProcess] = []
        self._complete = False

    @property
    def files(self) -> Sequence[str]:
        """Entries of the manifest for files that trackers write into the run's folder."""
        return () if self.config.track is None else (EVENTS,)

    def begin(self, folder: Path, lines: Sequence[Mapping[str, Any]], earlier: Sequence[Table]) -> list[Table]:
        """Start the trackers.

        Args:
            folder: folder of the run.
            lines: lines of metrics.jsonl so far.
            earlier: what this function returned when the run began, or continued last.

        Returns:
            Name, options and id of each tracker, by which a run continues there.
        """
        plugins = [plugin.path for plugin in self.config.plugins]
        config = {"name": self.config.name, "seed": self.config.seed, **self.config.tables()}
        told = {"name": self.config.name, "folder": folder.resolve(), "config": config, "epochs": lines}
        known = list(earlier)
        for table in trackers_of(self.config):
            try:
                process = TrackerProcess(table["name"], table["options"], plugins)
            except OSError as error:  # no memory, too many processes
                self._warn(table["name"], "", told_of(error))
                continue
            self._processes.append(process)
            process.ask("begin", id=next((each["id"] for each in known if _same(each, table)), ""), **told)
        for process in list(self._processes):
            tracked = process.wait(PATIENCE_TO_BEGIN)
            if not process.problem:
                here = {"name": process.name, "options": process.options, "id": tracked["id"]}
                known = [each for each in known if not _same(each, here)] + [here]
                self.progress.say(f"Tracked by {process.name}: {in_one_line(tracked['place'])}")
        self._leave_out_failed("")
        return known

    def log_epoch(self, line: Mapping[str, Any]) -> None:
        """Tell the trackers the figures of an epoch, without waiting for them."""
        for process in self._processes:
            process.look(PATIENCE)
        self._leave_out_failed(f" from epoch {line['epoch']} on")
        for process in self._processes:
            process.ask("log_epoch", epoch=line)

    def log_result(self, evaluation: Mapping[str, Any], report: Path) -> None:
        """Tell the trackers the figures of the finished run, without waiting for them."""
        for process in self._processes:
            process.ask("log_result", figures=final_figures(evaluation), report=report.resolve())
        self._complete = True

    def __enter__(self) -> Tracking:
        return self

    def __exit__(self, *error: object) -> None:
        complete = self._complete and error[0] is None
        for process in self._processes:
            process.ask("end", complete=complete)
        for process in self._processes:
            process.wait(PATIENCE)
        self._leave_out_failed(" at the end")
        for process in self._processes:
            process.close(ENDING)

    def _leave_out_failed(self, when: str) -> None:
        """End the trackers that have failed, with one warning each."""
        for process in [each for each in self._processes if each.problem]:
            self._processes.remove(process)
            process.close(ENDING)
            self._warn(process.name, when, process.problem)

    def _warn(self, name: str, when: str, problem: str) -> None:
        what = in_one_line(without_secrets(problem)).rstrip(".")
        self.progress.warn(
            f"Tracker {name!r} is left out{when}: {what}. The run goes on, and its folder has all figures"
        )


def _same(one: Table, other: Table) -> bool:
    return all(one[key] == other[key] for key in ("name", "options"))


def final_figures(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """The figures of evaluation.json that have an interval: `trained/map_at_r`, and its ends `…_low` and `…_high`."""
    networks = evaluation["networks"]
    rest = {key: evaluation.get(key) for key in ("roc", "threshold", "reliability", "open_set")}
    return dict(_figures({**networks, **rest}, ""))


def _figures(node: Mapping[str, Any], name: str) -> Iterator[tuple[str, float]]:
    if {"value", "low", "high"} <= node.keys():
        ends = {"": "value", "_low": "low", "_high": "high"}
        yield from ((name + end, node[key]) for end, key in ends.items() if node[key] is not None)
        return
    for key, inner in node.items():
        if isinstance(inner, Mapping):
            yield from _figures(inner, f"{name}/{key}" if name else key)
