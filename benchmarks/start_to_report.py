"""(g) A run on 200 photos, from the start of the process to the end of the report."""

from __future__ import annotations

import functools
import importlib
import os
import runpy
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.harness import ROOT, Contender, FailedError, Headline, Outcome, Row, Setting, fresh, side_by_side

TITLE = "from start to report"
INDIVIDUALS, PHOTOS, EPOCHS = 20, 10, 30
QUICK = ("--set", "train.epochs=1", "--set", "data.size=64", "--set", "augmentation.views=1")
PRODUCTS = "the network's products alone"
START = "start-up and imports"
STAGES = {
    "decoding and audit": ("experiment.running:prepare_dataset", "experiment.running:audit_of"),
    "frozen part": ("experiment.running:store_frozen_part",),
    "epochs": ("experiment.running:build_trainer", "experiment.running:train_epochs"),
    "evaluation of the networks": (
        "experiment.running:_embed_test",
        "experiment.running:threshold",
        "experiment.running:raw_pixels",
        "experiment.running:judge",
        "experiment.running:without_copies",
    ),
    "bootstrap": (
        "evaluation.intervals:mean_with_interval",
        "evaluation.operating_point:cross_fit",
        "experiment.pair_figures:roc_figures",
        "experiment.pair_figures:reliability",
    ),
    "report": ("experiment.running:_write_report",),
    "saving": (
        "experiment.running:save_model",
        "experiment.running:write_json",
        "experiment.run_log:save_checkpoint",
        "experiment.run_folder:RunFolder.write_metrics",
        "experiment.run_folder:RunFolder.write_manifest",
        "experiment.run_folder:RunFolder.write_evaluation",
        "experiment.run_folder:RunFolder.write_config",
    ),
}
"""Functions of siamesekit by stage; a stage within another counts on its own."""
WHOLE = "the whole run"
HEADLINE = Headline(
    "A run on 200 photos takes {0.ours} s of processor time from the start of its process to the end of its report; "
    "the network's matrix products and convolutions take {0.theirs} s of them (the share in brackets).",
    ((WHOLE, PRODUCTS),),
)
MEASURES = (
    f"`siamesekit run` on the config that `siamesekit init` writes for a folder of {INDIVIDUALS * PHOTOS} drawn flukes "
    f"of {INDIVIDUALS} individuals, JPEG files of 640 × 480 pixels: the encoder `efficientnet-lite0` with its ImageNet "
    f"weights, whose last part trains for {EPOCHS} epochs on augmented photos of 224 × 224. All figures are seconds of "
    "processor time, user and system, of one process with one thread for products, from the start of the interpreter. "
    "The figure in the last column is that of every matrix product and convolution of the stage, forward and backward, "
    "and the ratio its share; what is missing from 1 is time outside the network's products: activations, poolings and "
    "normalizations, optimizer, augmentation, decoding, figures, pictures, files. Products are timed one by one in a "
    "second process, by a `TorchDispatchMode`, so that the clock's own cost does not count. Stages that a function of "
    "an outer stage calls, such as a checkpoint after an epoch, count on their own; imports count in the stage in "
    "which they first happen."
)
OPERATIONS = {"convolution", "convolution_backward", "mm", "addmm"}
"""Operations of PyTorch that are the products of a convolutional network."""
Clocked = Callable[..., Any]


def measure(setting: Setting) -> Outcome:
    """Draw the photos, write the config, and run it with the clock on the stages, then on the products."""
    size = {"individuals": 5, "photos": 4} if setting.quick else {"individuals": INDIVIDUALS, "photos": PHOTOS}
    project = str(setting.folder / "project")
    try:
        fresh(
            Contender("project", "benchmarks.start_to_report:make_project", {"folder": project, **size}), setting.folder
        )
    except FailedError as error:
        return Outcome([], [f"the project could not be made: {error}."])
    arguments = {"project": project, "more": QUICK if setting.quick else ("--set", f"train.epochs={EPOCHS}")}
    stages, products = side_by_side(
        setting,
        1,
        [
            Contender("stages", "benchmarks.start_to_report:staged", arguments),
            Contender("products", "benchmarks.start_to_report:multiplied", arguments),
        ],
    )
    rows = [
        Row("g", f"{stage}, s", PRODUCTS, products.best(stage), stages.best(stage)) for stage in (START, *STAGES, WHOLE)
    ]
    notes = []
    if stages.rounds and products.rounds:
        outside = 1 - float(products.best(WHOLE)) / float(stages.best(WHOLE))
        notes.append(f"{100 * outside:.0f} % of the time is outside the network's products.")
        shares = [f"{stage} {100 * float(stages.best(stage)) / float(stages.best(WHOLE)):.1f} %" for stage in STAGES]
        notes.append(f"Shares of the whole run: {'; '.join(shares)}.")
    return Outcome(rows, notes)


def make_project(folder: str, individuals: int, photos: int) -> dict[str, Any]:
    """Draw a folder of JPEG photos, and write the config of `siamesekit init` for it."""
    from PIL import Image

    from siamesekit.cli import main

    drawing = runpy.run_path(str(ROOT / "examples" / "whales" / "flukes.py"))
    for record in drawing["flukes"](individuals, photos, seed=0):
        file = Path(folder) / "photos" / f"{record.name}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(record.source()).resize((640, 480)).save(file, quality=90)
    with patch.object(sys, "argv", ["siamesekit", "init", folder, "--encoder", "efficientnet-lite0"]):
        _called(main)
    return {}


def staged(project: str, more: list[str]) -> dict[str, Any]:
    """Processor seconds of each stage of a run, and of the whole process so far."""
    _one_thread()
    clock = StageClock()
    _run(project, more, clock)
    return {START: clock.spent[START], **{stage: clock.spent[stage] for stage in STAGES}, WHOLE: time.process_time()}


def multiplied(project: str, more: list[str]) -> dict[str, Any]:
    """Processor seconds of the matrix products and convolutions of each stage, and of all of them."""
    _one_thread()
    from torch.utils._python_dispatch import TorchDispatchMode

    clock, spent = StageClock(), defaultdict[str, float](float)

    class Timed(TorchDispatchMode):
        """Times each product."""

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if str(func).split(".")[1] not in OPERATIONS:
                return func(*args, **(kwargs or {}))
            start = time.process_time()
            result = func(*args, **(kwargs or {}))
            spent[clock.stages[-1]] += time.process_time() - start
            return result

    with Timed():  # type: ignore[no-untyped-call]
        _run(project, more, clock)
    return {stage: spent[stage] for stage in (START, *STAGES)} | {WHOLE: sum(spent.values())}


class StageClock:
    """Processor seconds by stage; a stage within another counts on its own.

    Attributes:
        stages: the stages that are running, the innermost last.
        spent: seconds by stage.
    """

    def __init__(self) -> None:
        self.stages, self._read = [START], 0.0
        self.spent: defaultdict[str, float] = defaultdict(float)

    def switch(self) -> None:
        """Count the time since the last switch for the innermost stage."""
        now = time.process_time()
        self.spent[self.stages[-1]] += now - self._read
        self._read = now

    def during(self, stage: str, function: Clocked) -> Clocked:
        """The function, whose time counts for the stage."""

        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            self.switch()
            self.stages.append(stage)
            try:
                return function(*arguments, **named)
            finally:
                self.switch()
                self.stages.pop()

        return timed


def _run(project: str, more: list[str], clock: StageClock) -> None:
    """`siamesekit run`, with the clock on each stage, without a cache of an earlier run."""
    from siamesekit.cli import main

    with ExitStack() as patched, tempfile.TemporaryDirectory() as folder:
        for stage, functions in STAGES.items():
            for function in functions:
                module, _, path = function.partition(":")
                *owners, name = path.split(".")
                owner: Any = importlib.import_module(f"siamesekit.{module}")
                for each in owners:
                    owner = getattr(owner, each)
                patched.enter_context(patch.object(owner, name, clock.during(stage, getattr(owner, name))))
        environment = {"XDG_CACHE_HOME": f"{folder}/cache"}
        command = ["siamesekit", "run", f"{project}/config.toml", "--out", f"{folder}/run", *more]
        with patch.dict(os.environ, environment), patch.object(sys, "argv", command):
            _called(main)
    clock.switch()


def _called(command: Callable[[], object]) -> None:
    """Call a command, which ends with an exit code."""
    try:
        command()
    except SystemExit as ended:
        if ended.code:
            raise


def _one_thread() -> None:
    """One thread for products, before PyTorch is imported."""
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
