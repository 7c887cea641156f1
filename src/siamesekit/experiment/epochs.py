"""Training a run epoch by epoch: each epoch writes a line of figures and a checkpoint, and the doctor checks it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from siamesekit.components.losses.traits import traits
from siamesekit.config import Config
from siamesekit.engine.doctor import diagnose
from siamesekit.engine.epoch import EpochResult, Midway
from siamesekit.engine.faults import naming_failures
from siamesekit.engine.test_set import TestSet
from siamesekit.engine.training import Trainer, train
from siamesekit.evaluation.retrieval import retrieval_metrics
from siamesekit.experiment.checkpoint_form import RENAMED
from siamesekit.experiment.dataset import Dataset
from siamesekit.experiment.run_log import RunLog
from siamesekit.experiment.setup import Setup
from siamesekit.experiment.stopping import Stop, Stopped
from siamesekit.hardware.allocator import return_freed_memory
from siamesekit.progress import Progress


def train_epochs(
    setup: Setup,
    trainer: Trainer,
    test: TestSet,
    log: RunLog,
    progress: Progress,
    stop: Stop | None = None,
) -> None:
    """Train the remaining epochs; each adds a line of metrics and a checkpoint.

    Afterwards the encoder has the weights that the run keeps: those of the last epoch or of the best epoch, or an
    average.

    Args:
        setup: setup of the run.
        trainer: the parts that train.
        test: test set that judges each epoch.
        log: progress of the run; it is continued.
        progress: shows each epoch and the doctor's findings.
        stop: checked after each batch; on a request to stop, the run is saved first.

    Raises:
        RunError: training failed; the last checkpoint remains.
        Stopped: the run was asked to stop; all that was done is saved.
    """
    config, dataset, stop = setup.config, setup.dataset, stop or Stop()
    average = trainer.optimization.average
    log.begin()
    if config.train.epochs == 0:  # the closed form is the whole training
        log.folder.write_metrics([])
    selecting = config.train.select == "validation"
    margin = traits(trainer.loss).margin
    known = {finding.name for finding in diagnose(log.lines, margin)}

    def after_step(midway: Midway) -> None:
        asked = stop.requested  # read once: a later request waits for the next step
        if asked is not None or log.age() >= config.save.every_seconds:
            log.save(midway)
        if asked is not None:
            raise Stopped(asked, saved=True)

    tested = [dataset.records[photo].name for photo in test.photos.tolist()]
    with stop.deferring(), naming_failures(_components(config), tested):
        epochs = range(log.done + 1, config.train.epochs + 1)
        for result in train(trainer, epochs, config.seed, progress, log.midway, after_step):
            return_freed_memory()
            with nullcontext() if average is None else average.applied():
                embeddings = trainer.embed(test.photos)
                judged = test.loss_and_accuracy(embeddings, trainer.loss, trainer.distance, trainer.miner)
                line = _line(result, judged)
                if selecting:
                    line["validation_map_at_r"] = score = _validation_score(dataset, trainer)
                    if score > log.best:
                        log.keep_best(score, result.epoch)
            log.add(line)
            return_freed_memory()
            for finding in diagnose(log.lines, margin):
                if finding.name not in known:
                    known.add(finding.name)
                    progress.warn(str(finding))
            progress.say(_news(log.lines, config.train.epochs))
            if stop.requested is not None:
                raise Stopped(stop.requested, saved=True)
    if selecting:
        trainer.encoder.load_state_dict(log.best_weights())
    elif average is not None:
        average.apply()


def _components(config: Config) -> dict[str, str]:
    """The config's names of the components that may fail in training, by part."""
    parts = ("loss", "miner", "sampler", "distance", "optimizer", "schedule")
    tables = {part: getattr(config, part) for part in parts}
    return {part: table.component for part, table in tables.items() if table is not None}


def _validation_score(dataset: Dataset, trainer: Trainer) -> float:
    """MAP@R on the validation photos."""
    photos = list(dataset.split.validation)
    embeddings = trainer.embed(torch.tensor(photos))
    labels = torch.from_numpy(dataset.labels[photos])
    return float(np.nanmean(retrieval_metrics(embeddings, labels, trainer.distance).map_at_r))


def _line(result: EpochResult, test: Mapping[str, float | None]) -> dict[str, Any]:
    """The line of an epoch in metrics.jsonl; unknown figures are null."""
    figures = {key: value if math.isfinite(value) else None for key, value in asdict(result).items()}
    line: dict[str, Any] = {}
    for key, value in figures.items():
        line[RENAMED.get(key, key)] = value
        if key == "accuracy":
            line |= test
    return line


def _news(lines: list[dict[str, Any]], epochs: int) -> str:
    """The last epoch in one line, with the time left at the pace of the last five epochs."""
    line = lines[-1]
    recent = [each["seconds"] for each in lines[-5:]]
    left = (epochs - line["epoch"]) * sum(recent) / len(recent)
    news = [f"epoch {line['epoch']:>3}/{epochs}"]
    for key, label, digits in (
        ("train_loss", "loss", 5),
        ("test_loss", "test loss", 5),
        ("test_accuracy", "test accuracy", 3),
    ):
        if line[key] is not None:
            news.append(f"{label} {line[key]:.{digits}f}")
    return "  ".join([*news, _speed(line["images_per_second"]), f"{left / 60:.1f} min left"])


def _speed(images_per_second: float) -> str:
    """Images per second, or seconds per image if an image takes more than a second."""
    if 0 < images_per_second < 1:
        return f"{1 / images_per_second:.1f} s/image"
    return f"{images_per_second:.0f} images/s"
