"""The experiment: where everything meets. `check` plans a run, `run` does it.

```
config → data (or stand-in) → encoder (or stand-in) → frozen part stored → training, epoch by epoch
       → evaluation of trained, untrained and raw pixels → threshold → artifact, report
```
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from siamesekit.artifact import save_model
from siamesekit.compatibility import margins_out_of_reach, refuse_what_does_not_fit, try_on_batches
from siamesekit.component_faults import told
from siamesekit.config import Config
from siamesekit.culprits import plugins_named
from siamesekit.engine.precision import DeviceChoice, Precision, PrecisionChoice, choose_precision
from siamesekit.engine.precision import deterministic as only_deterministic
from siamesekit.engine.random_state import all_left_as_found
from siamesekit.engine.training import embed_stored
from siamesekit.errors import OutputError, RunError
from siamesekit.evaluation import raw_pixels
from siamesekit.figures import with_interval
from siamesekit.files import write_atomic, write_json
from siamesekit.fitting import Recipe, build_recipe, build_training, held_out, keep, training_labels
from siamesekit.learning import learn, progress_of
from siamesekit.not_numbers import broken_embeddings, broken_weights
from siamesekit.own_files import CONFIG, EVALUATION, MODEL_FILES, PLUGINS, REPORT, SPLIT
from siamesekit.paths import resolved
from siamesekit.planning import Plan, plan
from siamesekit.preparation import Built, Data, prepare_data, prepare_encoder
from siamesekit.progress import Progress, progress_here
from siamesekit.random_layers import plan_random_layers, refuse_random_layers, tell_of_random_layers
from siamesekit.report.card import run_card
from siamesekit.report.html import render
from siamesekit.results import completed, judge, manifest, report_data, save_pickle, threshold
from siamesekit.resuming import same_config, same_schedule, same_surroundings
from siamesekit.run_folder import FROM_THE_START, RunFolder
from siamesekit.run_place import refuse_above
from siamesekit.split_file import split_of
from siamesekit.stopping import Stop


@dataclass(frozen=True, repr=False)
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

    @property
    def report(self) -> Path:
        """The report's file: one HTML page that needs nothing else."""
        return self.folder / REPORT

    def __repr__(self) -> str:
        networks = self.evaluation["networks"]
        trained, untrained, pixels = (with_interval(networks[name]["precision_at_1"])
                                      for name in ("trained", "untrained", "raw_pixels"))  # fmt: skip
        stand_ins = "".join(f", STAND-IN {each['what']}" for each in self.manifest["stand_ins"])
        return (f"RunResult({self.manifest['name']!r} in {str(self.folder)!r}: P@1 {trained}, untrained {untrained}, "
                f"raw pixels {pixels}{stand_ins})")  # fmt: skip

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        return run_card(self.manifest["name"], self.folder, self.report, self.evaluation, self.manifest)


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
        progress: is told what happens. By default a notebook shows it below the cell, a terminal and a prompt on
            stderr; `Progress()` is silent.
        skip_bad: leave out photos that cannot be used.

    Raises:
        UserError: what `run` would refuse.
    """
    progress = progress or progress_here()
    chosen = choose_precision(device, precision)
    with all_left_as_found(), plugins_named(), chosen.exact():
        refuse_what_does_not_fit(config)
        refuse_random_layers(config)
        data = prepare_data(config, progress, skip_bad)
        built = prepare_encoder(config, data.images, chosen, progress, weights_needed=False, training=data.split.train)
        plan_random_layers(config, built, progress)
        recipe = _recipe(config, data, built, chosen, progress)
        return plan(config, data, built, recipe.batches, chosen, recipe.steps)


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
        progress: is told what happens. By default a notebook shows it below the cell, a terminal and a prompt on
            stderr; `Progress()` is silent.
        skip_bad: leave out photos that cannot be used; the manifest lists them.
        stop: is asked after each training step whether to stop.
        deterministic: take only kernels whose result is the same every time; on a CPU it is so anyway.

    Raises:
        UserError: config, data, weights or output folder cannot be used, or another run writes into it; nothing has
            been written.
        RunError: training failed, or a plugin's code did; the last checkpoint remains.
        Stopped: it was asked to stop; all that was done is saved.
    """
    folder = RunFolder(Path("runs") / config.name if out is None else Path(out))
    _refuse_place(folder.path, config, resume)
    folder.check(resume, overwrite, _more_files(config))
    chosen = choose_precision(device, precision)
    with (
        folder.locked(),
        all_left_as_found(),
        only_deterministic(deterministic),
        chosen.exact(),
        plugins_named(RunError),
    ):
        return _run(config, folder, resume, overwrite, chosen, progress or progress_here(), skip_bad, stop)


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
    folder.check(resume, overwrite, _more_files(config))  # once more: who held it before may have written it
    if resume:
        folder.put_back(resume)
        same_config(config, folder)
    refuse_what_does_not_fit(config)
    refuse_random_layers(config)
    data = prepare_data(config, progress, skip_bad)
    built = prepare_encoder(config, data.images, chosen, progress, training=data.split.train)
    tell_of_random_layers(config, built, progress)
    recipe = _recipe(config, data, built, chosen, progress)
    clock.append(time.perf_counter())

    stored = keep(config, data, built, chosen, progress)
    progress.say(f"On {chosen.device.type} in {chosen.name} ({chosen.why}); {stored.why}")
    training = build_training(config, data, built, stored, recipe, chosen, progress)
    test = held_out(config, data, built.encoder, recipe)
    untrained = embed_stored(built.encoder, stored, test.photos, chosen)
    clock.append(time.perf_counter())

    begun = manifest(config, data, built, chosen, stored.cached)
    if resume:
        same_surroundings(config, folder, begun, progress)
    spent = {"preparation": clock[1] - clock[0], "frozen_part": clock[2] - clock[1]}
    log = progress_of(config, training, folder, resume, progress, spent)
    if resume and (log.done or log.midway is not None):
        same_schedule(config, folder, training.descent.schedule)
    folder.claim(resume, overwrite, _more_files(config))
    if folder.replaced is not None:
        progress.say(f"The run that was here waits in {folder.replaced} until this one is complete")
    plugins = {f"{PLUGINS}/{plugin.path.name}": plugin.content for plugin in config.plugins}
    folder.write_manifest(begun, [*FROM_THE_START, *plugins])
    folder.write_config(config.to_toml(relative_to=folder.path, plugins=list(plugins)), plugins)
    write_json(folder.path / SPLIT, split_of(config, data))
    learn(config, data, training, test, log, progress, stop)
    spent = log.seconds()
    clock.append(time.perf_counter())

    begun = folder.write_manifest(begun, [*MODEL_FILES, EVALUATION, REPORT, *filter(None, [config.save.pickle])])
    findings = broken_weights(built.encoder, log.kept_epoch)
    for finding in findings:
        progress.warn(str(finding))
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
            "stand_ins": begun["stand_ins"],
            "no_threshold": " ".join(notes) if point is None else None,
        },
    )
    if config.save.pickle:
        save_pickle(folder.path / config.save.pickle, built, recipe.distance)
    pixels, averaged = raw_pixels(data.images, test.photos)
    networks = {"trained": trained, "untrained": untrained, "raw_pixels": pixels}
    notes = [*broken_embeddings(networks), *notes, *([] if averaged is None else [averaged])]
    evaluation = judge(config, test, networks, recipe.distance, point, notes, data.notes)
    folder.write_evaluation(evaluation)

    def page() -> str:
        shown = report_data(config, data, built, chosen, test, trained, recipe.distance, recipe.loss, log.lines,
                            log.kept_epoch, evaluation)  # fmt: skip
        return render(replace(shown, findings=(*shown.findings, *findings)))

    _write_report(folder, page, progress)
    finished = completed(begun, log.kept_epoch, spent | {"evaluation": time.perf_counter() - clock[-1]})
    finished = folder.write_manifest(finished)
    try:
        folder.complete()
    except OutputError as error:
        progress.warn(str(error))
    return RunResult(folder.path, evaluation, finished)


def _write_report(folder: RunFolder, page: Callable[[], str], progress: Progress) -> None:
    """Draw and write the report; whatever goes wrong with it, the run has its model and its figures."""
    try:
        write_atomic(folder.path / REPORT, page())
    except Exception as error:  # matplotlib, Pillow, a full disk, no memory
        earlier = "; the report of before is still there" if (folder.path / REPORT).exists() else ""
        progress.warn(
            f"The report could not be drawn ({told(error)}); the model and its evaluation are complete{earlier}. Run "
            "the same command with --resume to draw it again"
        )


def _more_files(config: Config) -> list[str]:
    """The files that this run will write beside those of every run."""
    return [*(f"{PLUGINS}/{plugin.path.name}" for plugin in config.plugins), *filter(None, [config.save.pickle])]


def _refuse_place(folder: Path, config: Config, resume: bool) -> None:
    """No run's folder may hold the config, the photos or the weights; one that is resumed holds its own config.

    Raises:
        OutputError: it does, or is a home folder or a repository.
    """
    own = resume and resolved(folder / CONFIG) == config.source
    kept = [] if own else [("the config", config.source)]
    tables = (config.data, config.data.stand_in)
    kept += [("the data", place) for table in tables if table is not None for place in _places(table.options)]
    for weights in (config.encoder.weights, config.encoder.stand_in and config.encoder.stand_in.weights):
        if isinstance(weights, Path):
            kept.append(("the weights", weights))
    refuse_above(folder, kept, config.name)


def _places(value: Any) -> Iterator[Path]:
    """The folders that a reader's options name, and those of the files that they name."""
    if isinstance(value, Path):
        yield value.parent if value.is_file() or value.suffix else value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _places(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _places(inner)


def _recipe(config: Config, data: Data, built: Built, precision: Precision, progress: Progress) -> Recipe:
    """Distance, loss, miner and batches, tried together."""
    recipe = build_recipe(config, data, built.encoder, precision)
    if (warning := margins_out_of_reach(config, recipe.loss, recipe.distance)) is not None:
        progress.warn(warning)
    if recipe.batches:
        dim = cast(int, built.encoder.head.embedding_dim)
        labels = torch.from_numpy(training_labels(data))
        try_on_batches(config, recipe.loss, recipe.miner, recipe.batches, labels, dim)
    return recipe
