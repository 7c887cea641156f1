"""What a run that goes on must share with the run that began: config, photos, weights, plugins, and its schedule."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from siamesekit.config import Config
from siamesekit.errors import OutputError
from siamesekit.own_files import PLUGINS
from siamesekit.progress import Progress
from siamesekit.registry import SCHEDULES
from siamesekit.run_folder import RunFolder
from siamesekit.schedules.schedule import Schedule


def same_surroundings(config: Config, folder: RunFolder, now: Mapping[str, Any], progress: Progress) -> None:
    """A run goes on with the photos and weights it began with; another machine is warned of.

    Raises:
        OutputError: photos or weights are other ones, or other views of the photos would be taken.
    """
    began = folder.read_manifest()
    if began is None:  # it stopped before it had one: nothing is trained yet
        return
    for what, key in (("photos", "data"), ("weights", "weights"), ("plugin files", "plugins")):
        if _that_trains(began.get(key)) != _that_trains(now[key]):
            raise OutputError(f"--resume: the {what} are not those that {folder.path} began with; put them back, or "
                              "start anew with --overwrite or another --out")  # fmt: skip
    if began.get("frozen_part_cached", now["frozen_part_cached"]) != now["frozen_part_cached"]:
        what = "cached" if began["frozen_part_cached"] else "computed anew each time"
        if config.augmentation is not None:
            raise OutputError(
                f"--resume: the frozen part's output was {what} when {folder.path} began, and augmentation makes other "
                "views of the photos otherwise; set encoder.cache_gib back, or start anew with --overwrite or another "
                "--out"
            )
        progress.warn(
            f"The frozen part's output was {what} when the run began, and now is not (encoder.cache_gib): the numbers "
            "will differ from those of an unbroken run by rounding"
        )
    before, after = ({key: each.get(key, {}) for key in ("device", "versions")} for each in (began, now))
    changed = sorted(_differences(before, after, ""))
    if changed:
        progress.warn(f"This is not where the run began ({', '.join(changed)} changed): the numbers will differ from "
                      "those of an unbroken run by rounding")  # fmt: skip


def _that_trains(entry: Any) -> Any:
    """An entry of the manifest but for photos that do not train: whether they are there changes nothing."""
    beside = {"left_out", "passed_over"}
    return {key: value for key, value in entry.items() if key not in beside} if isinstance(entry, dict) else entry


def same_config(config: Config, folder: RunFolder) -> None:
    """A run goes on with the config it began with; only what changes no number may change, and how many epochs."""
    if not folder.has_files():  # it stopped before it had a config: nothing is trained yet
        return
    began = folder.read_config()
    plugins = [f"{PLUGINS}/{plugin.path.name}" for plugin in config.plugins]
    wanted = tomllib.loads(config.to_toml(relative_to=folder.path, plugins=plugins))
    for table, key in (
        ("train", "epochs"),
        ("data", "memory_gib"),
        ("encoder", "cache_gib"),
        ("save", "every_seconds"),
    ):
        began.get(table, {}).pop(key, None)
        wanted[table].pop(key)
    changed = sorted(_differences(began, wanted, ""))
    if changed:
        raise OutputError(
            f"--resume: the config is not the one that {folder.path} began with; changed: {', '.join(changed)}; "
            "change it back, or start anew with --overwrite or another --out"
        )


def same_schedule(config: Config, folder: RunFolder, schedule: Schedule | None) -> None:
    """A run that has trained goes on with another number of epochs only where its schedule does not depend on it.

    Args:
        config: the run's, with the epochs that it is to have now.
        folder: the run's.
        schedule: of those epochs.

    Raises:
        OutputError: the learning rates so far were those of a shorter or longer run.
    """
    if config.schedule is None or schedule is None or not spans_the_run(config.schedule.component, schedule):
        return
    began = folder.read_config().get("train", {}).get("epochs")
    if began != config.train.epochs:
        name = config.schedule.component
        raise OutputError(
            f"--resume: schedule {name!r} spreads over the whole run, which began in {folder.path} with train.epochs = "
            f"{began}: with {config.train.epochs} its learning rates would have been others from the first step on; "
            f"set train.epochs = {began}, or start anew with {config.train.epochs} epochs, by --overwrite or another "
            "--out; schedules 'step' and 'exponential', or none, go on with any number of epochs"
        )


def spans_the_run(name: str, schedule: Schedule) -> bool:
    """Whether a schedule depends on how many steps the whole run has: it asks for `steps`, unless it says otherwise."""
    asks = any(parameter.name == "steps" for parameter in SCHEDULES.get(name).runtime)
    return bool(getattr(schedule, "spans_the_run", asks))


def _differences(a: Mapping[str, Any], b: Mapping[str, Any], place: str) -> set[str]:
    found = set()
    for key in {*a, *b}:
        left, right = a.get(key), b.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            found |= _differences(left, right, f"{place}{key}.")
        elif left != right:
            found.add(place + key)
    return found
