"""A run's model in int8: its cost is what the library's own evaluation gives, and worse figures are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

import siamesekit
from siamesekit import runtime
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.cli.app import app
from siamesekit.errors import UserError
from siamesekit.experiment import int8_export
from siamesekit.experiment.evaluating import evaluate_models, evaluation_config
from siamesekit.experiment.int8_export import Int8Export, export_int8
from siamesekit.experiment.run_result import RunResult


@pytest.fixture(scope="module")
def model(finished: RunResult) -> SimilarityModel:
    return siamesekit.load(finished.folder, device="cpu")


@pytest.fixture(scope="module")
def made(model: SimilarityModel, tmp_path_factory: pytest.TempPathFactory) -> Int8Export:
    return export_int8(model, tmp_path_factory.mktemp("int8") / "model.onnx", accept=True)


class Warned(siamesekit.Progress):
    """Keeps its warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str, details: Any = ()) -> None:
        self.warnings.append(text)


@pytest.mark.medium
def test_figures_in_float32_are_those_of_evaluate(model: SimilarityModel, made: Int8Export) -> None:
    wanted = evaluate_models(evaluation_config(model, None), model)
    figures = wanted["networks"]["model"]
    assert made.int8["test_photos"] == wanted["photos"] and made.int8["individuals"] == wanted["individuals"]
    for figure in ("precision_at_1", "mean_average_precision", "map_at_r"):
        assert made.int8["fp32"][figure] == pytest.approx(figures[figure], abs=1e-6)
    assert made.int8["fp32"]["threshold"] == wanted["shipped_threshold"]


def test_the_cosine_is_that_of_the_embeddings(model: SimilarityModel, made: Int8Export, finished: RunResult) -> None:
    used = runtime.load(made.file)
    split = json.loads((finished.folder / "split.json").read_text())["parts"]["test"]
    root = Path(evaluation_config(model, None).data.options["root"])
    files = [root / photo for photos in split.values() for photo in photos]
    assert len(files) == made.int8["test_photos"]
    found, wanted = used.embed(files).astype(np.float64), model.embed(files).double().numpy()
    cosine = (found * wanted).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    assert made.int8["cosine"] == pytest.approx({"mean": cosine.mean(), "worst": cosine.min()}, abs=1e-5)
    assert cosine.min() < 1 - 1e-9


def test_the_cost_is_in_the_metadata_and_the_size_is_right(made: Int8Export) -> None:
    told = json.loads(onnx.load(made.file).metadata_props[0].value)["int8"]
    assert told == made.int8
    assert made.bytes == made.file.stat().st_size
    assert 0 < made.bytes - told["int8"]["bytes"] < 20_000  # the description
    assert min(told["fp32"]["images_per_second"], told["int8"]["images_per_second"]) > 0


@pytest.mark.medium
def test_worse_figures_are_refused_unless_they_are_accepted(
    model: SimilarityModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8_export, "_lower_bound", lambda interval: 2.0)
    with pytest.raises(UserError, match=r"int8 is worse: .* in float32 it is .*Nothing is written\. --accept"):
        export_int8(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
    shown = Warned()
    made = export_int8(model, tmp_path / "model.onnx", accept=True, progress=shown)
    assert made.int8["worse"] == ["precision_at_1", "mean_average_precision", "map_at_r"]
    assert len(shown.warnings) == 3
    assert all(text.startswith("int8 is worse: ") for text in shown.warnings)


def test_only_figures_below_the_interval_are_worse() -> None:
    assert int8_export._lower_bound({"value": 0.5, "low": 0.4, "high": 0.6}) == 0.4
    assert int8_export._lower_bound({"value": 0.5, "low": None, "high": None}) == 0.5


@pytest.mark.medium
def test_photos_are_drawn_from_the_training_part_or_a_folder(
    model: SimilarityModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: RunResult
) -> None:
    drawn: list[list[str]] = []
    right = int8_export._drawn

    def keep(records: Any, seed: int) -> Any:
        drawn.append([record.name for record in right(records, seed)])
        return right(records, seed)

    monkeypatch.setattr(int8_export, "_drawn", keep)
    monkeypatch.setattr(int8_export, "MOST_PHOTOS", 3)
    export_int8(model, tmp_path / "model.onnx", accept=True)
    parts = json.loads((finished.folder / "split.json").read_text())["parts"]
    assert len(set(drawn[0])) == 3
    assert set(drawn[0]) <= {photo for photos in parts["train"].values() for photo in photos}
    root = Path(evaluation_config(model, None).data.options["root"])
    made = export_int8(model, tmp_path / "model.onnx", photos=root, accept=True)
    assert all(Path(name).is_relative_to(root) for name in drawn[1]) and made.int8["calibration_photos"] == 3


def test_a_model_without_its_run_is_refused(finished: RunResult, tmp_path: Path) -> None:
    lonely = siamesekit.load(finished.folder, device="cpu")
    lonely.source = tmp_path
    with pytest.raises(UserError, match="--int8 needs the run's config and its photos"):
        export_int8(lonely, tmp_path / "model.onnx")


@pytest.mark.medium
def test_the_command_prints_the_cost_and_refuses_what_does_not_go_together(finished: RunResult, tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    done = CliRunner().invoke(app, ["export", str(finished.folder), "-o", str(out), "--int8", "--accept"])
    assert done.exit_code == 0, done.output
    for words in ("cosine of the embeddings: mean 0.", "P@1: ", "mAP: ", "size: ", "images/s, in float32"):
        assert words in done.stdout
    for options, message in (
        (["--weight-bits", "7"], "--weight-bits is an option of --int8"),
        (["--accept"], "--accept is an option of --int8"),
        (["--int8", "--weight-bits", "4"], "must be 7 or 8, not 4"),
        (["--int8", "--format", "torch-export"], "--int8 writes ONNX, not torch-export"),
        (["--format", "openvino"], "the suffix must be .xml"),
        (["--int8", "--calibration", str(tmp_path / "gone")], "no such file"),
    ):
        done = CliRunner().invoke(app, ["export", str(finished.folder), "-o", str(out), *options])
        assert done.exit_code == 2 and message in done.stderr, options
    assert torch.is_grad_enabled()
