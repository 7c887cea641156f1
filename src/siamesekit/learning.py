"""Training a run: epoch by epoch, each with its line of figures, its checkpoint, and a look by the doctor."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from siamesekit.allocator import return_freed_memory
from siamesekit.checkpoint_form import NEEDED, RENAMED, problem_of
from siamesekit.config import Config
from siamesekit.doctor import diagnose, margin_of
from siamesekit.engine.checkpoints import load_checkpoint, save_checkpoint
from siamesekit.engine.faults import naming_failures
from siamesekit.engine.held_out import HeldOut
from siamesekit.engine.state_files import weights_of
from siamesekit.engine.training import EpochResult, Midway, embed_stored, train
from siamesekit.errors import ArtifactError, OutputError
from siamesekit.files import fingerprint, write_atomic
from siamesekit.fitting import Training
from siamesekit.metrics import retrieval
from siamesekit.own_files import BEST, BEST_FORM, DIGITS
from siamesekit.preparation import Data
from siamesekit.progress import Progress
from siamesekit.run_folder import RunFolder
from siamesekit.stopping import Stop, Stopped


def progress_of(
    config: Config, training: Training, folder: RunFolder, resume: bool, progress: Progress, spent: Mapping[str, float]
) -> RunLog:
    """How far a run has come; what trains gets its states. Nothing is written.

    Args:
        config: the run's.
        training: what trains.
        folder: the run's.
        resume: whether the run goes on from its last checkpoint, where there is one.
        progress: is told where it goes on.
        spent: seconds of this session so far, by stage.

    Raises:
        ArtifactError: no checkpoint can be used.
        OutputError: more epochs are done than are asked for.
    """
    log = RunLog(folder, training, spent=dict(spent))
    if resume:
        log.load(progress)
    begun = log.done + (log.midway is not None)
    if begun > config.train.epochs:
        done = f"{log.done} epochs are done" if log.midway is None else f"epoch {begun} has begun"
        raise OutputError(f"--resume: {done} and train.epochs is {config.train.epochs}; "
                          "raise it, or start anew with --overwrite")  # fmt: skip
    return log


def learn(
    config: Config, data: Data, training: Training, test: HeldOut, log: RunLog, progress: Progress,
    stop: Stop | None = None,
) -> None:  # fmt: skip
    """Train the epochs that are left; after each a metrics line and a checkpoint.

    Afterwards the encoder has the weights that the run keeps: the last epoch's or the best one's, or their average.

    Args:
        config: the run's.
        data: the run's.
        training: what trains.
        test: on what each epoch is judged.
        log: how far the run has come; it is written on.
        progress: is told of each epoch, and of what the doctor finds.
        stop: is asked after each step; where it is requested, all is saved first.

    Raises:
        RunError: training failed; the last checkpoint remains.
        Stopped: the run was asked to stop; all that was done is saved.
    """
    stop = stop or Stop()
    stepper, descent, photos = training.stepper, training.descent, list(data.split.train)
    encoder, average = stepper.encoder, descent.average
    log.begin()
    selecting = config.train.select == "validation"
    margin = margin_of(training.loss)
    known = {finding.name for finding in diagnose(log.lines, margin)}

    def after_step(midway: Midway) -> None:
        asked = stop.requested  # looked at once: what comes after this look waits for the next step
        if asked is not None or log.age() >= config.save.every_seconds:
            log.save(midway)
        if asked is not None:
            raise Stopped(asked, saved=True)

    tested = [data.records[photo].name for photo in test.photos.tolist()]
    with stop.deferring(), naming_failures(_components(config), tested):
        for result in train(
            stepper, torch.tensor(photos), training.labels, training.sampler, training.distance, training.loss,
            descent, range(log.done + 1, config.train.epochs + 1), config.seed, progress, training.miner,
            [data.records[photo].name for photo in photos], log.midway, after_step,
        ):  # fmt: skip
            return_freed_memory()
            with nullcontext() if average is None else average.applied():
                embeddings = embed_stored(encoder, stepper.stored, test.photos, stepper.precision)
                judged = test.loss_and_accuracy(embeddings, training.loss, training.distance, training.miner)
                line = _line(result, judged)
                if selecting:
                    line["validation_map_at_r"] = score = _validation_score(data, training)
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
        encoder.load_state_dict(log.best_weights())
    elif average is not None:
        average.apply()


def _components(config: Config) -> dict[str, str]:
    """The names in the config of what may fail in training, by part."""
    parts = ("loss", "miner", "sampler", "distance", "optimizer", "schedule")
    tables = {part: getattr(config, part) for part in parts}
    return {part: table.component for part, table in tables.items() if table is not None}


@dataclass
class RunLog:
    """What a run has done so far, as its folder keeps it.

    Attributes:
        folder: the run's.
        training: what trains.
        lines: of metrics.jsonl, one for each complete epoch.
        best: highest score on the validation individuals; below 0: there has been none.
        best_epoch: which had it.
        best_sha256: of its weights.
        midway: how far the epoch after the complete ones has come, where it was saved.
        spent: seconds by stage, of this session until it trains and of those before up to their last checkpoint.
        saved: when the last checkpoint was written, on `time.monotonic`'s clock.
    """

    folder: RunFolder
    training: Training
    lines: list[dict[str, Any]] = field(default_factory=list)
    best: float = -1.0
    best_epoch: int = 0
    best_sha256: str = ""
    midway: Midway | None = None
    spent: dict[str, float] = field(default_factory=dict)
    saved: float = field(default_factory=time.monotonic)
    _begun: float = field(default_factory=time.perf_counter)
    _named: str = ""

    def load(self, progress: Progress) -> None:
        """From the last checkpoint, whose states go into what trains; nothing where there is none."""
        state = load_checkpoint(self.folder.checkpoints, self.training.parts(), progress.warn)
        if state is None:
            return
        if lacking := NEEDED - state.keys():
            raise ArtifactError(
                f"{self.folder.checkpoints}: the checkpoint is of another version of siamesekit (it lacks "
                f"{', '.join(sorted(lacking))}): go on with that one, or start anew with --overwrite"
            )
        if problem := problem_of(state, self.training.stepper.expected):
            raise ArtifactError(
                f"{self.folder.checkpoints}: the checkpoint was not written by a run ({problem}); start again with "
                "--overwrite"
            )
        self.lines, self.best, self.best_epoch = state["lines"], state["best"], state["best_epoch"]
        self.best_sha256 = self._named = state["best_sha256"]
        for stage, seconds in state["spent"].items():
            self.spent[stage] = self.spent.get(stage, 0.0) + seconds
        self.training.stepper.expected = state["expected"]
        told = f"Going on after epoch {self.done}"
        if state["midway"] is not None:
            self.midway = Midway(**state["midway"])
            told += f" and {self.midway.batches} batches of the next"
        progress.say(told)

    def begin(self) -> None:
        """Training begins: metrics.jsonl ends with the checkpoint's epoch."""
        if self.lines or self.midway is not None:
            self.folder.write_metrics(self.lines)
        self._begun = time.perf_counter()

    @property
    def done(self) -> int:
        """Complete epochs."""
        return len(self.lines)

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights the run keeps: the best one, where one is chosen, else the last."""
        return self.best_epoch or self.done

    def seconds(self) -> dict[str, float]:
        """By stage, training up to now: of all sessions, but for what of one was not saved."""
        return self.spent | {"training": self.spent.get("training", 0.0) + time.perf_counter() - self._begun}

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
            "best_epoch": self.best_epoch,
            "best_sha256": self.best_sha256,
            "expected": self.training.stepper.expected,
            "midway": None if midway is None else midway.state(),
            "spent": self.seconds(),
        }
        save_checkpoint(self.folder.checkpoints, self.training.parts(), state)
        self.saved = time.monotonic()
        self._remove_worse()

    def keep_best(self, score: float, epoch: int) -> None:
        """Keep the encoder's weights as the best; those that were it stay until a checkpoint names these."""
        weights = save(weights_of(self.training.stepper.encoder))
        self.best, self.best_epoch, self.best_sha256 = score, epoch, sha256(weights).hexdigest()
        self.folder.checkpoints.mkdir(parents=True, exist_ok=True)
        write_atomic(self._file(self.best_sha256), weights)

    def best_weights(self) -> dict[str, Tensor]:
        """The weights that `keep_best` kept.

        Raises:
            ArtifactError: the file is not there or is another one.
        """
        file = self._file(self.best_sha256)
        if not file.is_file() or fingerprint(file) != self.best_sha256:
            raise ArtifactError(f"{file} is not there or damaged, and it holds the weights that this run keeps; start "
                                "again with --overwrite")  # fmt: skip
        return load_file(file)

    def _file(self, digest: str) -> Path:
        return self.folder.checkpoints / BEST.format(digest[:DIGITS])

    def _remove_worse(self) -> None:
        """Of the best weights leave those that the newest checkpoint names, and the one before it."""
        named = {self._file(digest) for digest in (self._named, self.best_sha256)}
        self._named = self.best_sha256
        for file in set(self.folder.checkpoints.glob(BEST.format("*"))) - named:
            if BEST_FORM.fullmatch(file.name):
                with suppress(OSError):
                    file.unlink()


def _validation_score(data: Data, training: Training) -> float:
    """MAP@R on the validation photos."""
    stepper, photos = training.stepper, list(data.split.validation)
    embeddings = embed_stored(stepper.encoder, stepper.stored, torch.tensor(photos), stepper.precision)
    labels = torch.from_numpy(data.labels[photos])
    return float(np.nanmean(retrieval(embeddings, labels, training.distance).map_at_r))


def _line(result: EpochResult, test: Mapping[str, float | None]) -> dict[str, Any]:
    """An epoch's line in metrics.jsonl: what is not known is null."""
    figures = {key: value if math.isfinite(value) else None for key, value in asdict(result).items()}
    line: dict[str, Any] = {}
    for key, value in figures.items():
        line[RENAMED.get(key, key)] = value
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
    return "  ".join([*told, _speed(line["images_per_second"]), f"{left / 60:.1f} min left"])


def _speed(images_per_second: float) -> str:
    """Images in a second, or, where it takes longer, seconds for one."""
    if 0 < images_per_second < 1:
        return f"{1 / images_per_second:.1f} s an image"
    return f"{images_per_second:.0f} images/s"
