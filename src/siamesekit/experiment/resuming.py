"""What must be unchanged when a run continues: config, photos, weights, plugins, and its schedule."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from siamesekit.components.schedules.schedule import Schedule
from siamesekit.config import Config
from siamesekit.config.loading import load_config
from siamesekit.errors import ConfigError, OutputError
from siamesekit.experiment.run_folder import RunFolder
from siamesekit.files.run_files import CONFIG, PLUGINS
from siamesekit.progress import Progress
from siamesekit.registry import SCHEDULES


def same_surroundings(config: Config, folder: RunFolder, now: Mapping[str, Any], progress: Progress) -> None:
    """Refuse to continue a run with other photos, weights or plugins; warn of another machine.

    Raises:
        OutputError: photos, weights or plugins have changed, or augmentation would make other views of the photos.
    """
    began = folder.read_manifest()
    if began is None:  # the run stopped before it wrote a manifest: nothing is trained yet
        return
    for what, key in (("photos", "data"), ("weights", "weights"), ("plugin files", "plugins")):
        if _that_trains(began.get(key)) != _that_trains(now[key]):
            raise OutputError(
                f"--resume: the {what} have changed since the run in {folder.path} began; put them back, or "
                "start anew with --overwrite or another --out"
            )
    if began.get("frozen_part_cached", now["frozen_part_cached"]) != now["frozen_part_cached"]:
        what = "cached" if began["frozen_part_cached"] else "computed anew each time"
        if config.augmentation is not None:
            raise OutputError(
                f"--resume: the frozen part's output was {what} when the run in {folder.path} began, but is not now, "
                "so augmentation would make other views of the photos; set encoder.cache_gib back, or start anew with "
                "--overwrite or another --out"
            )
        progress.warn(
            f"The frozen part's output was {what} when the run began, but is not now (encoder.cache_gib): the numbers "
            "will differ from those of an uninterrupted run by rounding"
        )
    before, after = ({key: dict(each.get(key, {})) for key in ("device", "versions")} for each in (began, now))
    for each in (before, after):
        each["device"].pop("products", None)  # the run goes on with its own
    changed = sorted(_differences(before, after, ""))
    if changed:
        progress.warn(
            f"The machine or the libraries have changed since the run began ({', '.join(changed)}): the numbers will "
            "differ from those of an uninterrupted run by rounding"
        )


def device_of(began: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The device with which a run began, from its manifest; None without a manifest."""
    if began is None:
        return None
    device = began.get("device")
    return device if isinstance(device, dict) else {}


def _that_trains(entry: Any) -> Any:
    """An entry of the manifest without what does not affect training: photos in no part of the split, and leaks."""
    beside = {"left_out", "passed_over", "unknown", "leaks"}
    return {key: value for key, value in entry.items() if key not in beside} if isinstance(entry, dict) else entry


def same_config(config: Config, folder: RunFolder) -> None:
    """Refuse to continue a run with another config.

    The number of epochs, memory limits, which process holds what, the report, the trackers and what is accepted of the
    audit may change.

    Raises:
        OutputError: the config has changed.
    """
    if not folder.has_files():  # the run stopped before it wrote a config: nothing is trained yet
        return
    plugins = [f"{PLUGINS}/{plugin.path.name}" for plugin in config.plugins]
    began = _with_newer_options(folder)
    wanted = tomllib.loads(config.to_toml(relative_to=folder.path, plugins=plugins))
    began.pop("check", None)
    wanted.pop("check")
    for table, key in (
        ("train", "epochs"),
        ("train", "shard_centers"),  # checkpoints are those of one process
        ("train", "shard_encoder"),
        ("data", "memory_gib"),
        ("data", "quarantine"),  # the photos are compared
        ("encoder", "cache_gib"),
        ("save", "every_seconds"),
    ):
        began.get(table, {}).pop(key, None)
        wanted[table].pop(key)
    for tables in (began, wanted):
        for table in ("report", "track"):
            tables.pop(table, None)
    changed = sorted(_differences(began, wanted, ""))
    if changed:
        raise OutputError(
            f"--resume: the config has changed since the run in {folder.path} began; changed: {', '.join(changed)}; "
            "change it back, or start anew with --overwrite or another --out"
        )


def _with_newer_options(folder: RunFolder) -> dict[str, Any]:
    """The config of a run, with the defaults of options that the version which began it did not know."""
    began = folder.read_config()
    try:
        read = load_config(folder.path / CONFIG, ["plugins=[]"])  # they are loaded already
    except ConfigError:  # options that this version does not know: they are among the differences
        return began
    return tomllib.loads(read.to_toml(relative_to=folder.path, plugins=began.get("plugins", [])))


def same_schedule(config: Config, folder: RunFolder, schedule: Schedule | None) -> None:
    """Refuse to continue a trained run with another number of epochs if its schedule depends on that number.

    Args:
        config: config of the run, with the new number of epochs.
        folder: folder of the run.
        schedule: schedule for the new number of epochs.

    Raises:
        OutputError: the learning rates so far were those of a shorter or longer run.
    """
    if config.schedule is None or schedule is None or not spans_the_run(config.schedule.component, schedule):
        return
    began = folder.read_config().get("train", {}).get("epochs")
    if began != config.train.epochs:
        name = config.schedule.component
        raise OutputError(
            f"--resume: schedule {name!r} spans the whole run, and the run in {folder.path} began with train.epochs = "
            f"{began}: with {config.train.epochs}, its learning rates would have differed from the first step on; "
            f"set train.epochs = {began}, or start anew with {config.train.epochs} epochs, by --overwrite or another "
            "--out; schedules 'step' and 'exponential', or no schedule, continue with any number of epochs"
        )


def spans_the_run(name: str, schedule: Schedule) -> bool:
    """Whether a schedule depends on the run's number of steps: its `spans_the_run`, or whether it takes `steps`."""
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
