"""The progress of a run, kept in its checkpoints and metrics.jsonl."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor

from siamesekit.config import Config
from siamesekit.engine.checkpoints import load_checkpoint, save_checkpoint
from siamesekit.engine.epoch import Midway
from siamesekit.engine.state_files import weights_of
from siamesekit.engine.training import Trainer
from siamesekit.errors import ArtifactError, OutputError
from siamesekit.experiment.checkpoint_form import NEEDED, problem_of
from siamesekit.experiment.run_folder import RunFolder
from siamesekit.experiment.tracking import Tracking
from siamesekit.files.atomic import write_atomic
from siamesekit.files.run_files import BEST, BEST_FORM, DIGITS
from siamesekit.files.untrusted import fingerprint
from siamesekit.progress import Progress


def open_log(
    config: Config, trainer: Trainer, folder: RunFolder, resume: bool, progress: Progress, spent: Mapping[str, float]
) -> RunLog:
    """Open the log of a run; `trainer` gets the states of the last checkpoint. Nothing is written.

    Args:
        config: config of the run.
        trainer: the parts that train.
        folder: folder of the run.
        resume: whether to continue from the last checkpoint, if there is one.
        progress: shows where the run continues.
        spent: seconds of this session so far, by stage.

    Raises:
        ArtifactError: no checkpoint can be used.
        OutputError: more epochs are done than the config asks for.
    """
    log = RunLog(folder, trainer, spent=dict(spent))
    if resume:
        log.load(progress)
    begun = log.done + (log.midway is not None)
    if begun > config.train.epochs:
        done = f"{log.done} epochs are done" if log.midway is None else f"epoch {begun} has begun"
        raise OutputError(
            f"--resume: {done}, but train.epochs is {config.train.epochs}; raise it, or start anew with --overwrite"
        )
    return log


@dataclass
class RunLog:
    """The progress of a run so far.

    Attributes:
        folder: folder of the run.
        trainer: the parts that train.
        lines: lines of metrics.jsonl, one for each complete epoch.
        best: highest score on the validation individuals; negative if there is no score yet.
        best_epoch: epoch of the highest score; 0 if there is no score yet.
        best_sha256: SHA-256 of that epoch's weights; empty if there is no score yet.
        midway: saved progress within the epoch after the complete ones.
        spent: seconds by stage: of this session before training, and of earlier sessions up to their last checkpoint.
        saved: time of the last checkpoint, by `time.monotonic`.
        tracking: trackers of the run, which are told each complete epoch; None for none.
    """

    folder: RunFolder
    trainer: Trainer
    lines: list[dict[str, Any]] = field(default_factory=list)
    best: float = -1.0
    best_epoch: int = 0
    best_sha256: str = ""
    midway: Midway | None = None
    spent: dict[str, float] = field(default_factory=dict)
    saved: float = field(default_factory=time.monotonic)
    tracking: Tracking | None = None
    _begun: float = field(default_factory=time.perf_counter)
    _named: str = ""

    def load(self, progress: Progress) -> None:
        """Load the last checkpoint into the log and the trainer; does nothing if there is no checkpoint."""
        state = load_checkpoint(self.folder.checkpoints, self.trainer.parts(), progress.warn)
        if state is None:
            return
        if lacking := NEEDED - state.keys():
            raise ArtifactError(
                f"{self.folder.checkpoints}: the checkpoint is of another version of siamesekit (it lacks "
                f"{', '.join(sorted(lacking))}): continue with that version, or start anew with --overwrite"
            )
        if problem := problem_of(state, self.trainer.stepper.expected):
            raise ArtifactError(
                f"{self.folder.checkpoints}: the checkpoint was not written by a run ({problem}); start again with "
                "--overwrite"
            )
        self.lines, self.best, self.best_epoch = state["lines"], state["best"], state["best_epoch"]
        self.best_sha256 = self._named = state["best_sha256"]
        for stage, seconds in state["spent"].items():
            self.spent[stage] = self.spent.get(stage, 0.0) + seconds
        self.trainer.stepper.expected = state["expected"]
        reached = f"epoch {self.done}"
        if state["midway"] is not None:
            self.midway = Midway(**state["midway"])
            reached += f" and {self.midway.batches} batches of the next"
        progress.say(f"Continuing after {reached}")

    def begin(self) -> None:
        """Begin training: cut metrics.jsonl back to the epochs of the checkpoint."""
        if self.lines or self.midway is not None:
            self.folder.write_metrics(self.lines)
        self._begun = time.perf_counter()

    @property
    def done(self) -> int:
        """Number of complete epochs."""
        return len(self.lines)

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights the run keeps: the best one if one is selected, else the last."""
        return self.best_epoch or self.done

    def seconds(self) -> dict[str, float]:
        """Seconds by stage, including training until now, over all sessions; unsaved work does not count."""
        return self.spent | {"training": self.spent.get("training", 0.0) + time.perf_counter() - self._begun}

    def age(self) -> float:
        """Seconds since the last checkpoint."""
        return time.monotonic() - self.saved

    def add(self, line: dict[str, Any]) -> None:
        """Add the line of a complete epoch, write a checkpoint, and tell the trackers."""
        self.lines.append(line)
        self.folder.write_metrics(self.lines)
        self.save(None)
        if self.tracking is not None:
            self.tracking.log_epoch(line)

    def save(self, midway: Midway | None) -> None:
        """Write a checkpoint, after an epoch or within one."""
        state = {
            "lines": self.lines,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_sha256": self.best_sha256,
            "expected": self.trainer.stepper.expected,
            "midway": None if midway is None else midway.state(),
            "spent": self.seconds(),
        }
        save_checkpoint(self.folder.checkpoints, self.trainer.parts(), state)
        self.saved = time.monotonic()
        self._remove_worse()

    def keep_best(self, score: float, epoch: int) -> None:
        """Save the encoder's weights as the best; the previous best stay until a checkpoint names the new ones."""
        weights = save(weights_of(self.trainer.encoder))
        self.best, self.best_epoch, self.best_sha256 = score, epoch, sha256(weights).hexdigest()
        self.folder.checkpoints.mkdir(parents=True, exist_ok=True)
        write_atomic(self._file(self.best_sha256), weights)

    def best_weights(self) -> dict[str, Tensor]:
        """Load the weights that `keep_best` saved.

        Raises:
            ArtifactError: the file is missing or damaged.
        """
        file = self._file(self.best_sha256)
        if not file.is_file() or fingerprint(file) != self.best_sha256:
            raise ArtifactError(
                f"{file}, which holds the best weights of this run, is missing or damaged; start again with --overwrite"
            )
        return load_file(file)

    def _file(self, digest: str) -> Path:
        return self.folder.checkpoints / BEST.format(digest[:DIGITS])

    def _remove_worse(self) -> None:
        """Delete all best weights but those of the last two checkpoints."""
        named = {self._file(digest) for digest in (self._named, self.best_sha256)}
        self._named = self.best_sha256
        for file in set(self.folder.checkpoints.glob(BEST.format("*"))) - named:
            if BEST_FORM.fullmatch(file.name):
                with suppress(OSError):
                    file.unlink()
