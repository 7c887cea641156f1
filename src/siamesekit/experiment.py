"""The experiment: where everything meets. `check` plans a run, `run` does it.

```
config → data (or stand-in) → encoder (or stand-in) → frozen part stored → training, epoch by epoch
       → evaluation of trained, untrained and raw pixels → threshold → artifact, report
```
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from siamesekit.artifact import save_model
from siamesekit.compatibility import refuse_what_does_not_fit, try_on_a_batch
from siamesekit.config import Config
from siamesekit.engine.precision import DeviceChoice, Precision, PrecisionChoice, choose_precision
from siamesekit.engine.precision import deterministic as only_deterministic
from siamesekit.engine.random_state import all_left_as_found
from siamesekit.engine.training import embed_stored
from siamesekit.errors import OutputError
from siamesekit.evaluation import raw_pixels
from siamesekit.files import write_atomic
from siamesekit.fitting import Recipe, build_recipe, build_training, held_out, keep, training_labels
from siamesekit.learning import learn, progress_of
from siamesekit.planning import Plan, plan
from siamesekit.preparation import Built, Data, prepare_data, prepare_encoder
from siamesekit.progress import Progress
from siamesekit.report.html import render
from siamesekit.results import completed, judge, manifest, report_data, save_pickle, stand_ins, threshold
from siamesekit.run_folder import PLUGINS, REPORT, RunFolder
from siamesekit.stopping import Stop


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        folder: where its files are.
        evaluation: evaluation.json.
        manifest: manifest.json.
    """

    folder: Path
    evaluation: Mapping[str, Any]
    manifest: Mapping[str, Any]


def check(
    config: Config,
    device: DeviceChoice = "auto",
    precision: PrecisionChoice = "auto",
    progress: Progress | None = None,
    skip_bad: bool = False,
) -> Plan:
    """Read the data, build the network, and plan the run; trains nothing, writes nothing, fetches no weights.

    Args:
        config: checked, from `load_config`.
        device: where `run` would compute.
        precision: number format of the encoder.
        progress: is told what happens.
        skip_bad: leave out photos that cannot be used.

    Raises:
        UserError: what `run` would refuse.
    """
    progress = progress or Progress()
    chosen = choose_precision(device, precision)
    refuse_what_does_not_fit(config)
    with all_left_as_found(), chosen.exact():
        data = prepare_data(config, progress, skip_bad)
        built = prepare_encoder(config, data.images, chosen, progress, weights_needed=False, training=data.split.train)
        recipe = _recipe(config, data, built, chosen)
        return plan(config, data, built, recipe.batches, chosen)


def run(
    config: Config,
    out: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    device: DeviceChoice = "auto",
    precision: PrecisionChoice = "auto",
    progress: Progress | None = None,
    skip_bad: bool = False,
    stop: Stop | None = None,
    deterministic: bool = False,
) -> RunResult:
    """Run the experiment.

    The global random generators, torch's, Python's and NumPy's, are seeded meanwhile and then put back as they were.
    So are, on a GPU, the settings of cuDNN that `Precision.exact` and `deterministic` change. So do not run it while
    other threads of the process draw random numbers from them.

    Args:
        config: checked, from `load_config`.
        out: the run's folder; `runs/NAME` by default.
        resume: go on with the run in `out` from its last checkpoint, to the same numbers as without a break.
        overwrite: replace the run in `out`; it is kept until this one is complete.
        device: where to compute.
        precision: number format of the encoder.
        progress: is told what happens.
        skip_bad: leave out photos that cannot be used; the manifest lists them.
        stop: is asked after each training step whether to stop.
        deterministic: take only kernels whose result is the same every time; on a CPU it is so anyway.

    Raises:
        UserError: config, data, weights or output folder cannot be used, or another run writes into it; nothing has
            been written.
        RunError: training failed; the last checkpoint remains.
        Stopped: it was asked to stop; all that was done is saved.
    """
    folder = RunFolder(out or Path("runs") / config.name)
    folder.check(resume, overwrite)
    chosen = choose_precision(device, precision)
    with folder.locked(), all_left_as_found(), only_deterministic(deterministic), chosen.exact():
        return _run(config, folder, resume, overwrite, chosen, progress or Progress(), skip_bad, stop)


def _run(
    config: Config,
    folder: RunFolder,
    resume: bool,
    overwrite: bool,
    chosen: Precision,
    progress: Progress,
    skip_bad: bool,
    stop: Stop | None,
) -> RunResult:
    """`run`, the folder held."""
    clock = [time.perf_counter()]
    folder.check(resume, overwrite)  # once more: who held it before may have written it
    if resume:
        _same_config(config, folder)
    refuse_what_does_not_fit(config)
    data = prepare_data(config, progress, skip_bad)
    for note in data.notes:
        progress.say(note)
    built = prepare_encoder(config, data.images, chosen, progress, training=data.split.train)
    recipe = _recipe(config, data, built, chosen)
    clock.append(time.perf_counter())

    stored = keep(config, data, built, chosen, progress)
    progress.say(f"On {chosen.device.type} in {chosen.name} ({chosen.why}); {stored.why}")
    training = build_training(config, data, built, stored, recipe, chosen, progress)
    test = held_out(config, data, built.encoder, recipe)
    untrained = embed_stored(built.encoder, stored, test.photos, chosen)
    clock.append(time.perf_counter())

    begun = manifest(config, data, built, chosen)
    if resume:
        _same_surroundings(folder, begun, progress)
    spent = {"preparation": clock[1] - clock[0], "frozen_part": clock[2] - clock[1]}
    log = progress_of(config, training, folder, resume, progress, spent)
    folder.claim(resume, overwrite)
    if folder.replaced is not None:
        progress.say(f"The run that was here waits in {folder.replaced} until this one is complete")
    plugins = {f"{PLUGINS}/{plugin.path.name}": plugin.content for plugin in config.plugins}
    folder.write_config(config.to_toml(relative_to=folder.path, plugins=list(plugins)), plugins)
    folder.write_manifest(begun)
    learn(config, data, training, test, log, progress, stop)
    spent = log.seconds()
    clock.append(time.perf_counter())

    trained = embed_stored(built.encoder, stored, test.photos, chosen)
    point, notes = threshold(config, test, trained, recipe.distance)
    save_model(  # before all that may fail and is not it
        folder.model,
        built.encoder,
        built.architecture,
        config.data.size,
        config.data.fit,
        {"name": config.distance.component, "options": config.distance.options},
        None if point is None else point.as_json(),
        {
            "run": config.name,
            "stand_ins": [vars(each) for each in stand_ins(data, built)],
            "no_threshold": " ".join(notes) if point is None else None,
        },
    )
    if config.save.pickle:
        save_pickle(folder.path / config.save.pickle, built, recipe.distance)
    pixels, averaged = raw_pixels(data.images, test.photos)
    networks = {"trained": trained, "untrained": untrained, "raw_pixels": pixels}
    notes = [*data.notes, *notes, *([] if averaged is None else [averaged])]
    evaluation = judge(config, test, networks, recipe.distance, point, notes)
    shown = report_data(config, data, built, chosen, test, trained, recipe.distance, recipe.loss, log.lines,
                        log.kept_epoch, evaluation)  # fmt: skip
    write_atomic(folder.path / REPORT, render(shown))
    folder.write_evaluation(evaluation)
    finished = completed(begun, log.kept_epoch, spent | {"evaluation": time.perf_counter() - clock[-1]})
    folder.write_manifest(finished)
    folder.complete()
    return RunResult(folder.path, evaluation, finished)


def _recipe(config: Config, data: Data, built: Built, precision: Precision) -> Recipe:
    """Distance, loss, miner and batches, tried together."""
    recipe = build_recipe(config, data, built.encoder, precision)
    if recipe.batches:
        dim = cast(int, built.encoder.head.embedding_dim)
        labels = torch.from_numpy(training_labels(data))
        try_on_a_batch(config, recipe.loss, recipe.miner, recipe.batches[0], labels, dim)
    return recipe


def _same_surroundings(folder: RunFolder, now: Mapping[str, Any], progress: Progress) -> None:
    """A run goes on with the photos and weights it began with; another machine is warned of.

    Raises:
        OutputError: photos or weights are other ones.
    """
    began = folder.read_manifest()
    if began is None:  # it stopped before it had one: nothing is trained yet
        return
    for what, key in (("photos", "data"), ("weights", "weights"), ("plugin files", "plugins")):
        if began.get(key) != now[key]:
            raise OutputError(f"--resume: the {what} are not those that {folder.path} began with; put them back, or "
                              "start anew with --overwrite or another --out")  # fmt: skip
    before, after = ({key: each.get(key, {}) for key in ("device", "versions")} for each in (began, now))
    changed = sorted(_differences(before, after, ""))
    if changed:
        progress.warn(f"This is not where the run began ({', '.join(changed)} changed): the numbers will differ from "
                      "those of an unbroken run by rounding")  # fmt: skip


def _same_config(config: Config, folder: RunFolder) -> None:
    """A run goes on with the config it began with; only what changes no number may change, and how many epochs."""
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


def _differences(a: Mapping[str, Any], b: Mapping[str, Any], place: str) -> set[str]:
    found = set()
    for key in {*a, *b}:
        left, right = a.get(key), b.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            found |= _differences(left, right, f"{place}{key}.")
        elif left != right:
            found.add(place + key)
    return found
