"""Exports by torch.export and to OpenVINO give the embeddings of the model, and what differs is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import siamesekit
from siamesekit.artifact import torch_export
from siamesekit.artifact.onnx_graph import OnnxNetwork
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.artifact.torch_export import export_torch
from siamesekit.errors import UserError


@pytest.fixture(scope="module")
def model(telling: Path) -> SimilarityModel:
    return siamesekit.load(telling, device="cpu")


def images(model: SimilarityModel, count: int) -> torch.Tensor:
    """Random pixels, uint8 `[N, 3, S, S]`."""
    draw = np.random.default_rng(count)
    return torch.from_numpy(draw.integers(0, 256, (count, 3, model.size, model.size), dtype=np.uint8))


def about_it(text: str) -> dict[str, Any]:
    """What any export says of itself, checked."""
    told: dict[str, Any] = json.loads(text)
    assert told["operating_point"]["threshold"] == 0.95
    assert told["distance"]["name"] and told["input"]["fit"] == "squash"
    return told


@pytest.mark.slow
def test_a_program_of_torch_export_embeds_as_the_model_does(model: SimilarityModel, tmp_path: Path) -> None:
    made = export_torch(model, tmp_path / "model.pt2")
    about = {"siamesekit": ""}
    network = torch.export.load(tmp_path / "model.pt2", extra_files=about).module()
    for count in (1, 3, 65):
        with torch.no_grad():
            found = network(images(model, count))
        torch.testing.assert_close(found, model.embed(images(model, count)), rtol=0, atol=1e-5)
    assert about_it(about["siamesekit"])["embedding_dim"] == made.embedding_dim
    assert made.bytes == made.file.stat().st_size and [made.file] == list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_program_that_differs_from_the_model_is_refused(
    model: SimilarityModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(OnnxNetwork):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images).roll(1, dims=1)

    monkeypatch.setattr(torch_export, "OnnxNetwork", Wrong)
    with pytest.raises(UserError, match=r"in a batch of 1: embeddings by torch.export differ from torch's"):
        export_torch(model, tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_torch_export_cannot_express_is_refused_in_one_line(
    model: SimilarityModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Branching(OnnxNetwork):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            means = images.float().mean((2, 3))
            return means if means.sum() > 3 else -means

    monkeypatch.setattr(torch_export, "OnnxNetwork", Branching)
    with pytest.raises(UserError, match=r"encoder '.*' cannot be exported by torch.export: ") as caught:
        export_torch(model, tmp_path / "model.pt2")
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_openvino_embeds_as_the_model_does(model: SimilarityModel, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    from siamesekit.artifact.openvino_export import export_openvino

    made = export_openvino(model, tmp_path / "model.xml")
    core = openvino.Core()
    network = core.read_model(tmp_path / "model.xml")
    compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for count in (1, 3, 65):
        found = compiled({"images": images(model, count).numpy()})["embeddings"]
        np.testing.assert_allclose(found, model.embed(images(model, count)).numpy(), atol=1e-5)
    assert about_it(network.get_rt_info(["siamesekit"]).astype(str))["embedding_dim"] == made.embedding_dim
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.xml"]
    assert made.bytes == sum(path.stat().st_size for path in tmp_path.iterdir())


@pytest.mark.slow
def test_openvino_that_differs_is_refused(
    model: SimilarityModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    from siamesekit.artifact import openvino_export

    right: Callable[[Path], Any] = openvino_export._network
    monkeypatch.setattr(openvino_export, "_network", lambda file: lambda pixels: np.roll(right(file)(pixels), 1, 1))
    with pytest.raises(UserError, match=r"in a batch of 1: embeddings by openvino differ"):
        openvino_export.export_openvino(model, tmp_path / "model.xml")
    assert list(tmp_path.iterdir()) == []
