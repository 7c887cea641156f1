"""Training a run: epoch by epoch, each with its line of figures, its checkpoint, and a look by the doctor."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from siamesekit.allocator import return_freed_memory
from siamesekit.config import Config
from siamesekit.doctor import diagnose, margin_of
from siamesekit.engine.checkpoints import load_checkpoint, save_checkpoint
from siamesekit.engine.training import EpochResult, Midway, embed_stored, train
from siamesekit.errors import ArtifactError, OutputError
from siamesekit.files import fingerprint, write_atomic
from siamesekit.fitting import Training
from siamesekit.metrics import retrieval
from siamesekit.preparation import Data
from siamesekit.progress import Progress
from siamesekit.results import HeldOut
from siamesekit.run_folder import RunFolder
from siamesekit.stopping import Stop, Stopped

BEST = "best.safetensors"


def learn(
    config: Config, data: Data, training: Training, test: HeldOut, folder: RunFolder, progress: Progress,
    stop: Stop | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Train all epochs, from the last checkpoint if there is one; after each a metrics line and a checkpoint.

    Afterwards the encoder has the weights that the run keeps: the last epoch's or the best one's, or their average.

    Args:
        config: the run's.
        data: the run's.
        training: what trains.
        test: on what each epoch is judged.
        folder: where metrics and checkpoints go.
        progress: is told of each epoch, and of what the doctor finds.
        stop: is asked after each step; where it is requested, all is saved first.

    Returns:
        The lines of metrics.jsonl.

    Raises:
        OutputError: more epochs are done than are asked for.
        RunError: training failed; the last checkpoint remains.
        Stopped: the run was asked to stop; all that was done is saved.
    """
    stop = stop or Stop()
    stepper, descent, photos = training.stepper, training.descent, list(data.split.train)
    encoder, average = stepper.encoder, descent.average
    log = _Log.load(folder, training, progress)
    if log.done > config.train.epochs:
        raise OutputError(f"--resume: {log.done} epochs are done and train.epochs is {config.train.epochs}; "
                          "raise it, or start anew with --overwrite")  # fmt: skip
    selecting = config.train.select == "validation"
    margin = margin_of(training.loss)
    known = {finding.name for finding in diagnose(log.lines, margin)}

    def after_step(midway: Midway) -> None:
        if stop.requested is not None or log.age() >= config.save.every_seconds:
            log.save(midway)
        if stop.requested is not None:
            raise Stopped(stop.requested, saved=True)

    with stop.between_steps():
        for result in train(
            stepper, torch.tensor(photos), training.labels, training.sampler, training.distance, training.loss,
            descent, range(log.done + 1, config.train.epochs + 1), config.seed, progress, training.miner,
            [data.records[photo].name for photo in photos], log.midway, after_step,
        ):  # fmt: skip
            return_freed_memory()
            with nullcontext() if average is None else average.applied():
                embeddings = embed_stored(encoder, stepper.stored, test.photos, stepper.precision)
                line = _line(result, test.loss_and_accuracy(embeddings, training.loss, training.distance))
                if selecting:
                    line["validation_map_at_r"] = score = _validation_score(data, training)
                    if score > log.best:
                        log.keep_best(score)
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
        encoder.load_state_dict(log.best_weights())
    elif average is not None:
        average.apply()
    return log.lines


@dataclass
class _Log:
    """What a run has done so far, as its folder keeps it.

    Attributes:
        folder: the run's.
        training: what trains.
        lines: of metrics.jsonl, one for each complete epoch.
        best: highest score on the validation individuals.
        best_sha256: of the weights that had it.
        midway: how far the epoch after the complete ones has come, where it was saved.
        saved: when the last checkpoint was written, on `time.monotonic`'s clock.
    """

    folder: RunFolder
    training: Training
    lines: list[dict[str, Any]] = field(default_factory=list)
    best: float = -1.0
    best_sha256: str = ""
    midway: Midway | None = None
    saved: float = field(default_factory=time.monotonic)

    @classmethod
    def load(cls, folder: RunFolder, training: Training, progress: Progress) -> _Log:
        """From the last checkpoint, whose states go into what trains; empty where there is none."""
        log = cls(folder, training)
        state = load_checkpoint(folder.checkpoints, training.parts(), progress.warn)
        if state is None:
            return log
        log.lines, log.best, log.best_sha256 = state["lines"], state["best"], state["best_sha256"]
        training.stepper.expected = state["expected"]
        told = f"Going on after epoch {log.done}"
        if state["midway"] is not None:
            log.midway = Midway(**state["midway"])
            told += f" and {log.midway.batches} batches of the next"
        progress.say(told)
        folder.write_metrics(log.lines)
        return log

    @property
    def done(self) -> int:
        """Complete epochs."""
        return len(self.lines)

    def age(self) -> float:
        """Seconds since the last checkpoint."""
        return time.monotonic() - self.saved

    def add(self, line: dict[str, Any]) -> None:
        """An epoch is complete."""
        self.lines.append(line)
        self.folder.write_metrics(self.lines)
        self.save(None)

    def save(self, midway: Midway | None) -> None:
        """Write a checkpoint, after an epoch or within one."""
        state = {
            "lines": self.lines,
            "best": self.best,
            "best_sha256": self.best_sha256,
            "expected": self.training.stepper.expected,
            "midway": None if midway is None else midway.state(),
        }
        save_checkpoint(self.folder.checkpoints, self.training.parts(), state)
        self.saved = time.monotonic()

    def keep_best(self, score: float) -> None:
        """Keep the encoder's weights as the best."""
        encoder = self.training.stepper.encoder
        state = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
        self.folder.checkpoints.mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder.checkpoints / BEST, lambda path: save_file(state, path))
        self.best, self.best_sha256 = score, fingerprint(self.folder.checkpoints / BEST)

    def best_weights(self) -> dict[str, Tensor]:
        """The weights that `keep_best` kept.

        Raises:
            ArtifactError: the file is not there or is another one.
        """
        file = self.folder.checkpoints / BEST
        if not file.is_file() or fingerprint(file) != self.best_sha256:
            raise ArtifactError(f"{file} is not there or damaged, and it holds the weights that this run keeps; start "
                                "again with --overwrite")  # fmt: skip
        return load_file(file)


def _validation_score(data: Data, training: Training) -> float:
    """MAP@R on the validation photos."""
    stepper, photos = training.stepper, list(data.split.validation)
    embeddings = embed_stored(stepper.encoder, stepper.stored, torch.tensor(photos), stepper.precision)
    labels = torch.from_numpy(data.labels[photos])
    return float(np.nanmean(retrieval(embeddings, labels, training.distance).map_at_r))


def _line(result: EpochResult, test: Mapping[str, float | None]) -> dict[str, Any]:
    """An epoch's line in metrics.jsonl: what is not known is null."""
    figures = {key: None if math.isnan(value) else value for key, value in asdict(result).items()}
    names = {"loss": "train_loss", "accuracy": "train_accuracy"}
    line: dict[str, Any] = {}
    for key, value in figures.items():
        line[names.get(key, key)] = value
        if key == "accuracy":
            line |= test
    return line


def _news(lines: list[dict[str, Any]], epochs: int) -> str:
    """The last epoch in one line, with the time left at the pace of the last five."""
    line = lines[-1]
    recent = [each["seconds"] for each in lines[-5:]]
    left = (epochs - line["epoch"]) * sum(recent) / len(recent)
    told = [f"epoch {line['epoch']:>3}/{epochs}"]
    for key, label, digits in (
        ("train_loss", "loss", 5), ("test_loss", "test loss", 5), ("test_accuracy", "test accuracy", 3),
    ):  # fmt: skip
        if line[key] is not None:
            told.append(f"{label} {line[key]:.{digits}f}")
    return "  ".join([*told, f"{line['images_per_second']:.0f} images/s", f"{left / 60:.1f} min left"])
