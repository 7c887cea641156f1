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
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from siamesekit.allocator import return_freed_memory
from siamesekit.artifact import save_model
from siamesekit.config import Config
from siamesekit.data.samplers.batch import Sampler
from siamesekit.distances.distance import Distance
from siamesekit.engine.checkpoints import load_checkpoint, save_checkpoint
from siamesekit.engine.precision import DeviceChoice, PrecisionChoice, choose_precision
from siamesekit.engine.steps import Stepper
from siamesekit.engine.training import EpochResult, embed_stored, train
from siamesekit.errors import OutputError
from siamesekit.files import write_atomic
from siamesekit.fitting import build_sampler, keep, make_stepper
from siamesekit.losses.loss import Loss
from siamesekit.metrics import retrieval
from siamesekit.miners.miner import Miner
from siamesekit.planning import Plan, plan
from siamesekit.preparation import Data, prepare_data, prepare_encoder
from siamesekit.progress import Progress
from siamesekit.registry import DISTANCES, LOSSES, MINERS, OPTIMIZERS
from siamesekit.report.html import render
from siamesekit.results import HeldOut, judge, manifest, report_data, save_pickle, stand_ins
from siamesekit.run_folder import REPORT, RunFolder

BEST = "best.safetensors"


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
) -> Plan:
    """Read the data, build the network, and plan the run; trains nothing, writes nothing, fetches no weights.

    Raises:
        UserError: what `run` would refuse.
    """
    progress = progress or Progress()
    chosen = choose_precision(device, precision)
    data = prepare_data(config, progress)
    built = prepare_encoder(config, data.images, chosen, progress, weights_needed=False, training=data.split.train)
    return plan(config, data, built, chosen)


def run(
    config: Config,
    out: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    device: DeviceChoice = "auto",
    precision: PrecisionChoice = "auto",
    progress: Progress | None = None,
) -> RunResult:
    """Run the experiment.

    Args:
        config: checked, from `load_config`.
        out: the run's folder; `runs/NAME` by default.
        resume: go on after the last complete epoch of the run in `out`.
        overwrite: replace the run in `out`; it is kept until this one is complete.
        device: where to compute.
        precision: number format of the encoder.
        progress: is told what happens.

    Raises:
        UserError: config, data, weights or output folder cannot be used; nothing has been written.
        RunError: training failed; the last checkpoint remains.
    """
    progress = progress or Progress()
    clock = [time.perf_counter()]
    folder = RunFolder(out or Path("runs") / config.name)
    folder.check(resume, overwrite)
    if resume:
        _same_config(config, folder)
    chosen = choose_precision(device, precision)
    data = prepare_data(config, progress)
    for note in data.notes:
        progress.say(note)
    built = prepare_encoder(config, data.images, chosen, progress, training=data.split.train)
    distance: Distance = DISTANCES.build(config.distance.component, config.distance.options)
    loss: Loss = LOSSES.build(
        config.loss.component,
        config.loss.options,
        distance=distance,
        embedding_dim=built.encoder.head.embedding_dim,
        num_classes=len(set(data.labels[list(data.split.train)])),
    )
    clock.append(time.perf_counter())

    stored = keep(config, data, built, chosen, progress)
    progress.say(f"On {chosen.device.type} in {chosen.name} ({chosen.why}); {stored.why}")
    sampler = build_sampler(config, data.labels[list(data.split.train)])
    stepper = make_stepper(config, list(sampler.epoch(1)), built.encoder, stored, chosen)
    test = HeldOut.of(data, config.seed)
    untrained = embed_stored(built.encoder, stored, test.photos, chosen)
    clock.append(time.perf_counter())

    folder.claim(resume, overwrite)
    if folder.replaced is not None:
        progress.say(f"The run that was here waits in {folder.replaced} until this one is complete")
    plugins = {f"plugins/{file.name}": file.read_bytes() for file in config.plugins}
    folder.write_config(config.to_toml(relative_to=folder.path, plugins=list(plugins)), plugins)
    folder.write_manifest(manifest(config, data, built, chosen, {}, complete=False))
    epochs = _train(config, data, stepper, sampler, distance, loss, folder, test, progress)
    clock.append(time.perf_counter())

    trained = embed_stored(built.encoder, stored, test.photos, chosen)
    pixels = data.images[test.photos].flatten(1).float() / 255
    networks = {"trained": trained, "untrained": untrained, "raw_pixels": pixels}
    evaluation, _ = judge(config, data, test, networks, distance)
    save_model(
        folder.model,
        built.encoder,
        built.architecture,
        config.data.size,
        config.data.fit,
        {"name": config.distance.component, "options": config.distance.options},
        evaluation["threshold"],
        {"run": config.name, "stand_ins": [vars(each) for each in stand_ins(data, built)]},
    )
    if config.save.pickle:
        save_pickle(folder.path / config.save.pickle, built, distance)
    shown = report_data(config, data, built, chosen, test, trained, distance, epochs, evaluation)
    write_atomic(folder.path / REPORT, render(shown))
    folder.write_evaluation(evaluation)
    clock.append(time.perf_counter())
    stages = ("preparation", "frozen_part", "training", "evaluation")
    timings = {name: clock[i + 1] - clock[i] for i, name in enumerate(stages)} | {"total": clock[-1] - clock[0]}
    finished = manifest(config, data, built, chosen, timings, complete=True)
    folder.write_manifest(finished)
    folder.complete()
    return RunResult(folder.path, evaluation, finished)


def _train(
    config: Config,
    data: Data,
    stepper: Stepper,
    sampler: Sampler,
    distance: Distance,
    loss: Loss,
    folder: RunFolder,
    test: HeldOut,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Train all epochs, from the last checkpoint if there is one; after each a metrics line and a checkpoint."""
    encoder, stored, precision = stepper.encoder, stepper.stored, stepper.precision
    photos, labels = torch.tensor(data.split.train), torch.from_numpy(data.labels[list(data.split.train)])
    miner: Miner | None = None
    if config.miner is not None:
        miner = MINERS.build(config.miner.component, config.miner.options, distance=distance, seed=config.seed)
    optimizer = OPTIMIZERS.build(config.optimizer.component, config.optimizer.options, params=encoder.trainable())
    done, extra = load_checkpoint(folder.checkpoints, encoder, optimizer) or (0, {"best": -1.0})
    if done:
        progress.say(f"Going on after epoch {done}")
    if done > config.train.epochs:
        raise OutputError(f"--resume: {done} epochs are done and train.epochs is {config.train.epochs}; "
                          "raise it, or start anew with --overwrite")  # fmt: skip
    lines = folder.read_metrics()[:done]
    selecting = config.train.select == "validation"
    if "expected" in extra:
        stepper.expected = extra["expected"]
    extra["expected"] = stepper.expected
    for result in train(
        stepper, photos, labels, sampler, distance, loss, optimizer,
        range(done + 1, config.train.epochs + 1), config.seed, progress, miner,
    ):  # fmt: skip
        return_freed_memory()
        embeddings = embed_stored(encoder, stored, test.photos, precision)
        line = _line(result, test.loss_and_accuracy(embeddings, loss, distance))
        if selecting:
            line["validation_map_at_r"] = score = _validation_score(data, stepper, distance)
            if score > extra["best"]:
                extra["best"] = score
                _save_best(folder, encoder)
        lines.append(line)
        folder.write_metrics(lines)
        save_checkpoint(folder.checkpoints, encoder, optimizer, result.epoch, extra)
        return_freed_memory()
        progress.say(_news(lines, config.train.epochs))
    if selecting:
        encoder.load_state_dict(load_file(folder.checkpoints / BEST))
    return lines


def _validation_score(data: Data, stepper: Stepper, distance: Distance) -> float:
    """MAP@R on the validation photos."""
    photos = torch.tensor(data.split.validation)
    embeddings = embed_stored(stepper.encoder, stepper.stored, photos, stepper.precision)
    labels = torch.from_numpy(data.labels[list(data.split.validation)])
    return float(np.nanmean(retrieval(embeddings, labels, distance).map_at_r))


def _save_best(folder: RunFolder, encoder: torch.nn.Module) -> None:
    state = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    folder.checkpoints.mkdir(exist_ok=True)
    write_atomic(folder.checkpoints / BEST, lambda path: save_file(state, path))


def _line(result: EpochResult, test: Mapping[str, float]) -> dict[str, Any]:
    """An epoch's line in metrics.jsonl."""
    return {
        "epoch": result.epoch,
        "train_loss": result.loss,
        "train_accuracy": result.accuracy,
        **test,
        "d_ap_mean": result.d_ap_mean,
        "d_an_mean": result.d_an_mean,
        "active_triplets": result.active_triplets,
        "images_per_second": result.images_per_second,
        "seconds": result.seconds,
    }


def _news(lines: list[dict[str, Any]], epochs: int) -> str:
    """The last epoch in one line, with the time left at the pace of the last five."""
    line = lines[-1]
    recent = [each["seconds"] for each in lines[-5:]]
    left = (epochs - line["epoch"]) * sum(recent) / len(recent)
    return (
        f"epoch {line['epoch']:>3}/{epochs}  loss {line['train_loss']:.5f}  test loss {line['test_loss']:.5f}  "
        f"test accuracy {line['test_accuracy']:.3f}  {line['images_per_second']:.0f} images/s  "
        f"{left / 60:.1f} min left"
    )


def _same_config(config: Config, folder: RunFolder) -> None:
    """A run goes on with the config it began with; only the number of epochs and the memory may change."""
    began = folder.read_config()
    began.get("train", {}).pop("epochs", None)
    began.get("data", {}).pop("memory_gib", None)
    began.get("encoder", {}).pop("cache_gib", None)
    plugins = [f"plugins/{file.name}" for file in config.plugins]
    wanted = tomllib.loads(config.to_toml(relative_to=folder.path, plugins=plugins))
    wanted["train"].pop("epochs")
    wanted["data"].pop("memory_gib")
    wanted["encoder"].pop("cache_gib")
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
