"""The exported network computes the embeddings of the model, for several families of encoders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from siamesekit.artifact import export_check, onnx_export, onnx_graph
from siamesekit.artifact.export_check import BATCHES
from siamesekit.artifact.loading import load
from siamesekit.artifact.onnx_export import export_onnx
from siamesekit.artifact.saving import Preprocessing, save_model
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.errors import UserError
from siamesekit.model import Architecture, build
from siamesekit.registry import ENCODERS

FAST = {"timm/test_resnet": 32, "torchvision/squeezenet1_1": 32}
SLOW = {
    "timm/test_vit": 160, "timm/test_byobnet": 64, "timm/test_convnext": 64, "timm/test_mambaout": 64,
    "timm/test_maxvit": 160, "torchvision/mobilenet_v3_small": 64, "torchvision/shufflenet_v2_x0_5": 64,
    "efficientnet-lite0": 64,
}  # fmt: skip
"""Encoders of several families, each with the side of its photos."""


def saved(
    folder: Path, encoder: str, size: int, notes: dict[str, Any] | None = None, head: dict[str, Any] | None = None
) -> SimilarityModel:
    """A model with random weights, saved and loaded again."""
    torch.manual_seed(1)
    architecture = Architecture(encoder, {}, head or {"layers": [8]}, "inference")
    made = build(architecture).eval()
    distance = {"name": "euclidean", "options": {}}
    save_model(
        folder, made, architecture, Preprocessing(size, "squash"), distance, None, {"stand_ins": [], **(notes or {})}
    )
    return load(folder, "cpu")


def apart(file: Path, model: SimilarityModel, count: int) -> float:
    """Largest absolute difference of embeddings of random pixels, found without the exporter's own check."""
    pixels = np.random.default_rng(count).integers(0, 256, (count, 3, model.size, model.size), dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    [found] = session.run(["embeddings"], {"images": pixels})
    assert found.dtype == np.float32
    return float(np.abs(found - model.embed(torch.from_numpy(pixels)).numpy()).max())


@pytest.mark.medium
@pytest.mark.parametrize("encoder", [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_embeddings_are_those_of_torch(tmp_path: Path, encoder: str) -> None:
    model = saved(tmp_path / "model", encoder, {**FAST, **SLOW}[encoder])
    made = export_onnx(model, tmp_path / "model.onnx")
    assert made.largest_difference <= 1e-5
    assert made.bytes == (tmp_path / "model.onnx").stat().st_size
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["model.onnx"]
    for count in BATCHES:
        assert apart(made.file, model, count) < 1e-4


@pytest.mark.medium
@pytest.mark.parametrize(
    ("tta", "head"),
    [(["mirror"], {"layers": [8]}), (["crops"], {"layers": [], "normalize": False}),
     (["mirror", "crops"], {"layers": [8], "neck": "batchnorm"})],
)  # fmt: skip
def test_the_views_of_the_model_are_in_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tta: list[str], head: dict[str, Any]
) -> None:
    monkeypatch.setattr(export_check, "BATCHES", (1, 2))
    model = saved(tmp_path / "model", "timm/test_resnet", 32, {"tta": tta}, head)
    made = export_onnx(model, tmp_path / "model.onnx")
    scale = float(model.embed(torch.full((1, 3, 32, 32), 99)).norm())
    assert apart(made.file, model, 3) < 1e-5 * max(1, scale)
    plain = saved(tmp_path / "model", "timm/test_resnet", 32, {}, head)
    assert apart(made.file, plain, 3) > 1e-4 * scale  # the views matter


class RootMeanSquare(nn.Module):
    """A network with an operator that the tracer does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2, 3]))

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.rms_norm(images.amax((2, 3)), [3], self.weight)


@pytest.mark.slow
@pytest.mark.usefixtures("no_traces")
def test_a_network_that_the_tracer_does_not_know_is_exported_all_the_same(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    @ENCODERS.register("root-mean-square")
    def root_mean_square(pretrained: bool = False) -> Backbone:
        """A network of the test."""
        return Backbone(RootMeanSquare(), 3, [0.0] * 3, [200.0] * 3)

    model = saved(tmp_path / "model", "root-mean-square", 2, head={"layers": [], "normalize": False})
    made = export_onnx(model, tmp_path / "model.onnx")
    assert apart(made.file, model, 5) < 1e-4
    assert capfd.readouterr() == ("", "")


def test_all_that_is_needed_is_in_the_metadata(tmp_path: Path) -> None:
    stand_in = dict.fromkeys(("what", "wanted", "used", "why", "hint"), "weights")
    model = saved(tmp_path / "model", "timm/test_resnet", 32, {"stand_ins": [stand_in], "no_threshold": "too few"})
    proto = onnx.load(export_onnx(model, tmp_path / "model.onnx").file, load_external_data=False)
    assert not any(tensor.external_data for tensor in proto.graph.initializer)
    [entry] = proto.metadata_props
    assert entry.key == "siamesekit"
    told = json.loads(entry.value)
    assert told["input"]["size"] == 32 and told["input"]["fit"] == "squash" and told["input"]["depth"] == "full"
    assert told["distance"] == {"name": "euclidean", "options": {}}
    assert told["weights_sha256"] == json.loads((tmp_path / "model" / "model.json").read_text())["weights_sha256"]
    assert told["stand_ins"] == [stand_in]
    assert (told["operating_point"], told["no_threshold"], told["embedding_dim"]) == (None, "too few", 8)


def test_what_differs_from_torch_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = saved(tmp_path / "model", "timm/test_resnet", 32)
    right = onnx_export.onnx_graph

    def wrong(encoder: nn.Module, *rest: Any) -> bytes:
        with torch.no_grad():
            encoder.head.dense1.weight[0] += 1  # type: ignore[union-attr, index, operator]
            graph = right(encoder, *rest)  # type: ignore[arg-type]
            encoder.head.dense1.weight[0] -= 1  # type: ignore[union-attr, index, operator]
        return graph

    monkeypatch.setattr(onnx_export, "onnx_graph", wrong)
    with pytest.raises(UserError, match="in a batch of 1: embeddings by onnxruntime differ"):
        export_onnx(model, tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_lengths_count_too() -> None:
    rows = np.eye(3, dtype=np.float32)
    assert export_check.apart(rows, rows, "x", "it") == 0
    assert export_check.apart(0 * rows, 0 * rows, "x", "it") == 0
    for wrong in (1.001 * rows, 0 * rows, np.full_like(rows, np.nan), rows[:2]):
        with pytest.raises(UserError, match="it: "):
            export_check.apart(wrong, rows, "x", "it")
    with pytest.raises(UserError, match="it: embeddings are NaN or infinite"):
        export_check.apart(rows, np.full_like(rows, np.inf), "x", "it")


def test_a_model_beyond_two_gigabytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = saved(tmp_path / "model", "timm/test_resnet", 32)
    monkeypatch.setattr(onnx_export, "MOST_BYTES", 1_000_000)
    with pytest.raises(UserError, match=r"encoder 'timm/test_resnet' has 0\.0 GB of weights, and an ONNX file"):
        export_onnx(model, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


class Counting(nn.Module):
    """Its result depends on the batch, which a tracer takes for constant: the export must notice."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, images: Tensor) -> Tensor:
        features = images.mean((2, 3)) * self.weight
        return features + torch.tensor([float(len(images.tolist())), 0, 0])


@pytest.mark.usefixtures("no_traces")
def test_a_network_that_cannot_be_exported_is_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    @ENCODERS.register("counting")
    def counting(pretrained: bool = False) -> Backbone:
        """A network of the test."""
        return Backbone(Counting(), 3, [0.0] * 3, [1.0] * 3)

    model = saved(tmp_path / "model", "counting", 16, head={"layers": []})
    with pytest.raises(UserError, match="encoder 'counting'") as caught:
        export_onnx(model, tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().out == ""
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.medium
def test_a_graph_that_is_out_of_order_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch writes such a graph for gemma4_vit."""
    model = saved(tmp_path / "model", "timm/test_resnet", 32)
    made = onnx_graph._traced

    def reversed_graph(*arguments: Any) -> bytes:
        proto = onnx.load_model_from_string(made(*arguments))
        nodes = list(proto.graph.node)
        del proto.graph.node[:]
        proto.graph.node.extend(nodes[::-1])
        return bytes(proto.SerializeToString())

    monkeypatch.setattr(onnx_graph, "_traced", reversed_graph)
    export_onnx(model, tmp_path / "by-the-other.onnx")  # torch.export, which is tried next, writes a right one
    monkeypatch.setattr(onnx_graph, "_exported", reversed_graph)
    with pytest.raises(UserError, match=r"encoder 'timm/test_resnet' cannot be exported to ONNX: .*sorted") as caught:
        export_onnx(model, tmp_path / "model.onnx")
    assert "\n" not in str(caught.value) and not (tmp_path / "model.onnx").exists()
