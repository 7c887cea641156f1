"""The experiment: `check` plans a run, `run` does it.

```
config → data (or stand-in) → encoder (or stand-in) → frozen part stored → training, epoch by epoch
       → evaluation of trained, untrained and raw pixels → threshold → artifact, report
```
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from siamesekit.artifact.pickling import save_pickle
from siamesekit.artifact.saving import Preprocessing, save_model
from siamesekit.audit.gathering import Gathering
from siamesekit.components.encoders.lora import merge_lora
from siamesekit.config import Config
from siamesekit.engine.closed_form import unfitted
from siamesekit.engine.frozen.product_choice import with_product_choice
from siamesekit.engine.frozen.stored import Stored
from siamesekit.engine.random_state import all_left_as_found
from siamesekit.engine.test_time import embed_test
from siamesekit.errors import OutputError, RunError
from siamesekit.evaluation.pixel_baseline import raw_pixels
from siamesekit.experiment.assembly import (
    Recipe,
    build_matcher,
    build_recipe,
    build_test_set,
    build_trainer,
    fit_in_closed_form,
    store_frozen_part,
)
from siamesekit.experiment.audited import audit_of, parts_by_name, tell, without_copies
from siamesekit.experiment.compatibility import margins_out_of_reach, refuse_what_does_not_fit, try_on_batches
from siamesekit.experiment.dataset import Dataset, prepare_dataset
from siamesekit.experiment.epochs import train_epochs
from siamesekit.experiment.evaluation_set import evaluation_set
from siamesekit.experiment.judgement import Network, judge, threshold
from siamesekit.experiment.manifest import completed, manifest
from siamesekit.experiment.not_numbers import broken_embeddings, broken_weights
from siamesekit.experiment.plan import Plan, plan
from siamesekit.experiment.prepared_encoder import prepare_encoder
from siamesekit.experiment.random_layers import plan_random_layers, refuse_random_layers, tell_of_random_layers
from siamesekit.experiment.report_content import report_content
from siamesekit.experiment.resuming import device_of, same_config, same_schedule, same_surroundings
from siamesekit.experiment.run_folder import FROM_THE_START, RunFolder
from siamesekit.experiment.run_log import open_log
from siamesekit.experiment.run_place import refuse_place
from siamesekit.experiment.run_result import RunResult
from siamesekit.experiment.setup import Setup
from siamesekit.experiment.shared_centers import shares_centers
from siamesekit.experiment.split_file import split_of
from siamesekit.experiment.stopping import Stop
from siamesekit.experiment.team_work import connected
from siamesekit.experiment.tracking import Tracking
from siamesekit.experiment.training_photos import training_photos
from siamesekit.files.atomic import write_atomic, write_json
from siamesekit.files.run_files import EVALUATION, MODEL_FILES, PLUGINS, REPORT, SPLIT
from siamesekit.hardware.compute import Compute, DeviceChoice, PrecisionChoice, choose_compute
from siamesekit.hardware.compute import deterministic as only_deterministic
from siamesekit.hardware.postponed_compiler import compiler_postponed
from siamesekit.hardware.ranks import Ranks
from siamesekit.progress import Progress, progress_here
from siamesekit.registry.component_faults import told
from siamesekit.registry.culprits import plugins_named
from siamesekit.report.content import ReportData
from siamesekit.report.html import render


def check(
    config: Config,
    device: DeviceChoice = "auto",
    precision: PrecisionChoice = "auto",
    progress: Progress | None = None,
    skip_bad: bool = False,
) -> Plan:
    """Read the data, build the network, and plan the run; trains nothing, writes nothing, downloads no weights.

    Args:
        config: checked config, from `load_config`.
        device: device on which `run` would compute.
        precision: number format of the encoder.
        progress: shows messages and progress. By default a notebook shows them below the cell, a terminal or a prompt
            on stderr; `Progress()` is silent.
        skip_bad: whether to leave out photos that cannot be used.

    Raises:
        UserError: `run` would refuse the config, the data or the weights.
    """
    progress = progress or progress_here()
    chosen = with_product_choice(choose_compute(device, precision))
    with all_left_as_found(), compiler_postponed(), plugins_named(), chosen.exact():
        refuse_what_does_not_fit(config)
        refuse_random_layers(config)
        return plan_of(config, prepare_dataset(config, progress, skip_bad), chosen, progress)


def plan_of(config: Config, dataset: Dataset, compute: Compute, progress: Progress) -> Plan:
    """The plan of a run on these photos.

    Raises:
        UserError: `run` would refuse the config, the data or the weights.
    """
    training = dataset.split.train
    prepared = prepare_encoder(config, dataset.images, compute, progress, False, training, dataset.training_individuals)
    plan_random_layers(config, prepared, progress)
    setup = Setup(config, dataset, prepared, compute, build_matcher(config))
    evaluation_set(config, dataset)
    recipe = _recipe(setup, progress)
    return plan(setup, recipe.batches, recipe.steps)


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
    ranks: Ranks | None = None,
) -> RunResult:
    """Run the experiment.

    During the run, the global random generators of torch, Python and NumPy are seeded; afterwards they are restored, as
    are, on a GPU, the settings of cuDNN that the run changes. Other threads of the process must not draw from these
    generators meanwhile.

    Args:
        config: checked config, from `load_config`.
        out: folder of the run; `runs/NAME` by default.
        resume: whether to continue the run in `out` from its last checkpoint, to the same numbers as without a break.
        overwrite: whether to replace the run in `out`, which is kept until this one is complete.
        device: device on which to compute.
        precision: number format of the encoder.
        progress: shows messages and progress. By default a notebook shows them below the cell, a terminal or a prompt
            on stderr; `Progress()` is silent.
        skip_bad: whether to leave out photos that cannot be used; the manifest lists them.
        stop: checked after each batch for a request to stop.
        deterministic: whether to use only kernels with reproducible results; on a CPU all kernels are reproducible.
        ranks: the processes that compute the run together, of which this one leads; None to compute alone.

    Raises:
        UserError: config, data, weights or output folder cannot be used, or another run uses the folder; nothing has
            been written.
        RunError: training or a plugin failed; the last checkpoint remains.
        Stopped: the run was asked to stop; all that was done is saved.
    """
    progress = progress or progress_here()
    folder = RunFolder(Path("runs") / config.name if out is None else Path(out))
    refuse_place(folder.path, config, resume)
    folder.check(resume, overwrite, _more_files(config))
    chosen = choose_compute(device, precision)
    with (
        folder.locked(),
        all_left_as_found(),
        compiler_postponed(),
        only_deterministic(deterministic),
        chosen.exact(),
        plugins_named(RunError),
        Tracking(config, progress) as tracking,
        connected(ranks, chosen) as compute,
    ):
        return _run(config, folder, _Asked(resume, overwrite, skip_bad, stop), compute, progress, tracking)


@dataclass(frozen=True)
class _Asked:
    """How a run begins and ends, from the arguments of `run`.

    Attributes:
        resume: whether to continue from the last checkpoint.
        overwrite: whether to replace the run in the folder.
        skip_bad: whether to leave out photos that cannot be used.
        stop: checked after each batch for a request to stop.
    """

    resume: bool
    overwrite: bool
    skip_bad: bool
    stop: Stop | None


def _run(
    config: Config, folder: RunFolder, asked: _Asked, compute: Compute, progress: Progress, tracking: Tracking
) -> RunResult:
    """Run with the folder locked."""
    resume, overwrite = asked.resume, asked.overwrite
    clock = [time.perf_counter()]
    folder.check(resume, overwrite, _more_files(config))  # again: another run may have written before the lock
    earlier = None
    if resume:
        folder.put_back(resume)
        same_config(config, folder)
        earlier = folder.read_manifest()
    compute = with_product_choice(compute, device_of(earlier))

    # 1. photos, network, loss
    refuse_what_does_not_fit(config)
    refuse_random_layers(config)
    with Gathering(config.data.size) as gathering:
        dataset = prepare_dataset(config, progress, asked.skip_bad, gathering)
    found = audit_of(config, gathering, parts_by_name(dataset.records, dataset.split))
    tell(found, progress)
    prepared = prepare_encoder(
        config, dataset.images, compute, progress, True, dataset.split.train, dataset.training_individuals
    )
    tell_of_random_layers(config, prepared, progress)
    setup = Setup(config, dataset, prepared, compute, build_matcher(config), found)
    recipe = _recipe(setup, progress)
    clock.append(time.perf_counter())

    # 2. the frozen part's output, the untrained network's embeddings, and the layer that is fitted in closed form
    stored = store_frozen_part(setup, progress)
    several = "" if compute.ranks is None else f" by {compute.ranks.size} processes"
    progress.say(f"Computing on {compute.device.type} in {compute.name} ({compute.why}){several}; {stored.why}")
    if config.train.shard_encoder and compute.ranks is None:
        progress.say("One process holds the whole network (train.shard_encoder divides it among those of --nproc)")
    if config.train.shard_centers and compute.ranks is None:
        progress.say("One process holds all centres (train.shard_centers divides them among those of --nproc)")
    test = build_test_set(setup, recipe)
    judged = evaluation_set(config, dataset)
    with unfitted(setup.encoder):
        untrained = _embed_test(setup, stored, judged.photos)
    fit_in_closed_form(setup, stored, progress)
    trainer = build_trainer(setup, recipe, stored, progress)
    clock.append(time.perf_counter())

    # 3. claim the folder; nothing has been written before
    begun = manifest(setup, stored.cached)
    if resume:
        begun["trackers"] = (earlier or {}).get("trackers", [])
        same_surroundings(config, folder, begun, progress)
    spent = {"preparation": clock[1] - clock[0], "frozen_part": clock[2] - clock[1]}
    log = open_log(config, trainer, folder, resume, progress, spent)
    if resume and (log.done or log.midway is not None):
        same_schedule(config, folder, trainer.optimization.schedule)
    folder.claim(resume, overwrite, _more_files(config))
    if folder.replaced is not None:
        progress.say(f"The previous run is kept in {folder.replaced} until this one is complete")
    plugins = {f"{PLUGINS}/{plugin.path.name}": plugin.content for plugin in config.plugins}
    folder.write_manifest(begun, [*FROM_THE_START, *plugins, *tracking.files])
    folder.write_config(config.to_toml(relative_to=folder.path, plugins=list(plugins)), plugins)
    write_json(folder.path / SPLIT, split_of(config, dataset))
    if config.track is not None:
        begun["trackers"] = tracking.begin(folder.path, log.lines, begun["trackers"])
        folder.write_manifest(begun)
        log.tracking = tracking

    # 4. training
    train_epochs(setup, trainer, test, log, progress, asked.stop)
    spent = log.seconds()
    if stored.team is not None:
        stored.team.merge_lora()
    merge_lora(setup.encoder.backbone.network)
    clock.append(time.perf_counter())

    # 5. the model, saved before anything else that may fail
    begun = folder.write_manifest(begun, [*MODEL_FILES, EVALUATION, REPORT, *filter(None, [config.save.pickle])])
    findings = broken_weights(setup.encoder, log.kept_epoch)
    for finding in findings:
        progress.warn(str(finding))
    trained = _embed_test(setup, stored, judged.photos)
    point, notes = threshold(config, judged, trained, recipe.distance)
    save_model(
        folder.model,
        setup.encoder,
        prepared.architecture,
        Preprocessing(config.data.size, config.data.fit, dataset.reading),
        {"name": config.distance.component, "options": config.distance.options},
        None if point is None else point.as_json(),
        {
            "run": config.name,
            "stand_ins": begun["stand_ins"],
            "no_threshold": " ".join(notes) if point is None else None,
            **({"tta": list(config.evaluation.tta)} if config.evaluation.tta else {}),
        },
    )
    if config.save.pickle:
        save_pickle(folder.path / config.save.pickle, setup.encoder, recipe.distance)

    # 6. figures and report
    pixels, averaged = raw_pixels(dataset.images, judged.photos)
    embeddings = {"trained": trained, "untrained": untrained, "raw_pixels": pixels}
    leaks = [] if dataset.leaks is None else dataset.leaks.sentences()
    notes = [*broken_embeddings(embeddings), *notes, *leaks, *([] if averaged is None else [averaged])]
    networks = {name: Network(each, recipe.distance) for name, each in embeddings.items()}
    evaluation = judge(config, judged, networks, point, notes)
    evaluation["without_copies"] = without_copies(
        config, (dataset.records, dataset.split), judged, networks, found.copies
    )
    evaluation["left_out"] = list(dataset.notes)
    folder.write_evaluation(evaluation)
    content = partial(report_content, setup, recipe, judged, trained, log, evaluation, findings)
    _write_report(folder, content, progress)
    tracking.log_result(evaluation, folder.path / REPORT)
    finished = completed(begun, log.kept_epoch, spent | {"evaluation": time.perf_counter() - clock[-1]})
    finished = folder.write_manifest(finished)
    try:
        folder.complete()
    except OutputError as error:
        progress.warn(str(error))
    return RunResult(folder.path, evaluation, finished)


def _embed_test(setup: Setup, stored: Stored, photos: Tensor) -> Tensor:
    """Embeddings `[n, D]` of the test photos by the network as it is, with the config's views of each photo."""
    tta = setup.config.evaluation.tta
    return embed_test(setup.encoder, stored, setup.dataset.images, photos, setup.compute, tta)


def _write_report(folder: RunFolder, content: Callable[[], ReportData], progress: Progress) -> None:
    """Draw and write the report; if this fails, warn and keep the model and its figures."""
    try:
        write_atomic(folder.path / REPORT, render(content()))
    except Exception as error:  # matplotlib, Pillow, a full disk, no memory
        earlier = ", and the earlier report is unchanged" if (folder.path / REPORT).exists() else ""
        progress.warn(
            f"The report could not be drawn ({told(error)}); the model and its evaluation are complete{earlier}. Run "
            "the same command with --resume to draw it again"
        )


def _more_files(config: Config) -> list[str]:
    """The files that this run writes in addition to those of every run."""
    return [*(f"{PLUGINS}/{plugin.path.name}" for plugin in config.plugins), *filter(None, [config.save.pickle])]


def _recipe(setup: Setup, progress: Progress) -> Recipe:
    """Build distance, loss, miner and batches, and try them together."""
    config, recipe = setup.config, build_recipe(setup)
    if (warning := margins_out_of_reach(config, recipe.loss, recipe.distance)) is not None:
        progress.warn(warning)
    if recipe.batches and not shares_centers(config, setup.compute):  # a trial would copy all centres here
        dim = cast(int, setup.encoder.head.embedding_dim)
        labels = torch.from_numpy(training_photos(config, setup.dataset).labels)
        try_on_batches(config, recipe.loss, recipe.miner, recipe.batches, labels, dim)
    return recipe
