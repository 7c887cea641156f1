"""Networks that give no numbers: the run ends with model, evaluation and report, and all of them say so."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import LoadConfig, Told
from siamesekit.artifact.loading import load
from siamesekit.components.distances.squared_euclidean import squared_euclidean
from siamesekit.components.tuples import Triplets
from siamesekit.engine.training import Trainer
from siamesekit.errors import OutputError, RunError
from siamesekit.evaluation.figures import evaluate
from siamesekit.evaluation.intervals import Bootstrap
from siamesekit.experiment import running as experiment
from siamesekit.experiment.not_numbers import broken_embeddings
from siamesekit.experiment.running import run
from siamesekit.experiment.setup import Setup
from siamesekit.report import charts


def strict(file: Path) -> object:
    """The JSON in a file, refused where it holds NaN or infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(file.read_text(), parse_constant=refuse)


@pytest.mark.slow
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_run_whose_last_step_leaves_the_numbers_ends_and_says_so(
    small_config: LoadConfig, project: Path, tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch, bad: float
) -> None:
    config = small_config("train.epochs=1", "train.average=0.5")

    real = experiment.train_epochs

    def last_step(setup: Setup, trainer: Trainer, *rest: object) -> None:
        real(setup, trainer, *rest)  # type: ignore[arg-type]
        with torch.no_grad():
            trainer.encoder.trainable()[-1].fill_(bad)

    monkeypatch.setattr(experiment, "train_epochs", last_step)
    out = tmp_path / "run"
    for resume in (False, True):
        told.warned.clear()
        result = run(config, out, resume=resume, device="cpu", precision="fp32", progress=told)
        assert any(warning.startswith("not-numbers (epoch 1): ") for warning in told.warned)
        assert strict(out / "manifest.json") == result.manifest and result.manifest["complete"]
        assert strict(out / "evaluation.json") == result.evaluation and strict(out / "model" / "model.json")
        note = "16 of 16 test photos have NaN or infinite embeddings by the trained network"
        assert any(each.startswith(note) for each in result.evaluation["notes"])
        assert result.evaluation["threshold"] is None
        figures = result.evaluation["networks"]
        assert all(math.isfinite(each["value"]) for network in figures.values() for each in network.values())
        assert figures["trained"]["triplet_accuracy"]["value"] == 0, "no distance is smaller than another"
        page = (out / "report.html").read_text()
        assert note in page and "Not numbers, epoch 1." in page
    model, photos = load(out), [project / "photos" / "striped_0" / f"{number}.png" for number in (0, 1)]
    with pytest.raises(
        RunError, match="cannot compare the photos: the model gives embeddings that are NaN or infinite"
    ):
        model.compare(*photos)


def test_distances_that_are_nan_rank_after_all_others() -> None:
    """Photos 0, 1 of one individual, 2, 3 of another; photo 3 has no numbers."""
    embeddings = torch.tensor([[0.0], [1.0], [5.0], [math.nan]])
    labels = np.array([0, 0, 1, 1])
    triplets = Triplets(torch.tensor([0, 2, 0]), torch.tensor([1, 3, 1]), torch.tensor([2, 0, 3]))
    found = evaluate(embeddings, labels, triplets, squared_euclidean, Bootstrap(0.95, 100, 0)).figures
    assert found.triplet_accuracy.value == pytest.approx(2 / 3), "1 < 5; NaN is not < 5; 1 < NaN"
    # nearest to 0: 1, to 1: 0, to 2: 1 (4 < NaN); to 3 all are NaN: by index 0
    assert found.precision_at_1.value == pytest.approx(2 / 4)
    assert broken_embeddings({"trained": embeddings, "untrained": embeddings[:3]}) == [
        "1 of 4 test photos have NaN or infinite embeddings by the trained network: their distances rank after all "
        "others, and the figures of the trained network mean nothing."
    ]


@pytest.mark.slow
@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, -math.inf], [1.0, math.nan, 2.0]])
def test_charts_are_drawn_of_what_is_a_number(values: list[float]) -> None:
    array = np.array(values, dtype=np.float32)
    assert charts.distance_chart(array, array, None).startswith("<svg")
    keys = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "active_triplets", "d_ap_mean", "d_an_mean")
    lines = [{"epoch": number, **dict.fromkeys(keys, value)} for number, value in enumerate(values, 1)]
    assert charts.training_chart(lines).startswith("<svg")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("failure", "where"),
    [
        (ValueError("Axis limits cannot be NaN or Inf"), "render"),
        (MemoryError(), "report_content"),
        (OutputError("report.html: No space left"), "write_atomic"),
    ],
    ids=repr,
)
def test_a_failing_report_costs_no_run(
    small_config: LoadConfig,
    tmp_path: Path,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    failure: Exception,
) -> None:
    def fails(*given: object) -> str:
        raise failure

    out, config = tmp_path / "run", small_config("train.epochs=1", "encoder.head.layers=[4]")
    with monkeypatch.context() as patch:
        patch.setattr(experiment, where, fails)
        first = run(config, out, device="cpu", precision="fp32", progress=told)
    assert first.manifest["complete"] and not (out / "report.html").exists()
    assert strict(out / "evaluation.json") == first.evaluation
    assert load(out).threshold == (first.evaluation["threshold"] or {"threshold": None})["threshold"]
    [warning] = [each for each in told.warned if "report" in each]
    assert type(failure).__name__ in warning and "with --resume to draw it again" in warning
    weights = (out / "model" / "model.safetensors").read_bytes()
    again = run(config, out, resume=True, device="cpu", precision="fp32")
    assert (out / "report.html").is_file()
    assert (out / "model" / "model.safetensors").read_bytes() == weights and again.evaluation == first.evaluation
