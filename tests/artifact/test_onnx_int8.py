"""Networks in int8: which operators are quantized, to how many bits, and how far the result is from float32."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from siamesekit.artifact.onnx_export import onnx_content, onnx_network
from siamesekit.artifact.onnx_int8 import WeightBits, in_int8, int8_graph
from siamesekit.artifact.saving import Preprocessing
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.head import Head
from siamesekit.errors import UserError
from siamesekit.model import Encoder
from siamesekit.registry import DISTANCES


def model_of(*layers: torch.nn.Module, features: int) -> SimilarityModel:
    """A model with random weights on photos of 16 pixels."""
    encoder = Encoder(
        Backbone(torch.nn.Sequential(*layers), features, [127.5] * 3, [64.0] * 3),
        Head(features, [4], last_activation=False),
    )
    description = {
        "encoder": {"name": "mine", "options": {}}, "distance": {"name": "cosine", "options": {}},
        "weights_sha256": "0" * 64, "stand_ins": [],
    }  # fmt: skip
    return SimilarityModel(
        encoder.eval(), DISTANCES.build("cosine"), Preprocessing(16, "squash"), None, description, "cpu"
    )


@pytest.fixture(scope="module")
def content() -> bytes:
    torch.manual_seed(0)
    pooled = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    layers = (torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU6(), torch.nn.Conv2d(8, 16, 3, groups=8), pooled)
    return onnx_content(model_of(*layers, features=16))[0]


def pixels(count: int, seed: int) -> NDArray[np.uint8]:
    """Blurred random photos, which differ more than noise does."""
    small = np.random.default_rng(seed).integers(0, 256, (count, 3, 4, 4), dtype=np.uint8)
    return small.repeat(4, axis=2).repeat(4, axis=3)


@pytest.mark.parametrize("bits", [7, 8])
def test_embeddings_are_near_those_in_float32_and_convolutions_alone_are_quantized(
    content: bytes, bits: WeightBits, capfd: pytest.CaptureFixture[str]
) -> None:
    graph = int8_graph(content, [pixels(8, 1), pixels(4, 2)], bits)
    assert capfd.readouterr() == ("", "")
    found, wanted = (onnx_network(each)(pixels(7, 3)) for each in (graph, content))
    cosine = (found * wanted).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    assert 0.995 < cosine.min() < 1 - 1e-7  # near, and not the same network
    proto = onnx.load_model_from_string(graph)
    weights = [numpy_helper.to_array(each) for each in proto.graph.initializer]
    quantized = [each for each in weights if each.ndim == 4 and each.dtype != np.float32]
    assert sorted(each.size for each in quantized) == [144, 216]  # both convolutions
    if bits == 7:
        assert {each.dtype for each in quantized} == {np.dtype(np.int8)}
        assert max(np.abs(each).max() for each in quantized) <= 64
    else:
        assert {each.dtype for each in quantized} == {np.dtype(np.uint8)}
        assert max(each.max() for each in quantized) > 250
    [head] = [node for node in proto.graph.node if node.op_type == "Gemm"]
    by_output = {output: node.op_type for node in proto.graph.node for output in node.output}
    assert all(by_output.get(each) != "DequantizeLinear" for each in head.input)
    scales = [each for each in weights if each.shape == (8,) and each.dtype == np.float32]
    assert any(len(np.unique(each)) > 4 for each in scales)  # a scale for each channel


def test_products_with_weights_and_the_activations_behind_convolutions_are_chosen() -> None:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    chain = [
        ("Relu", "before", ["x"], "a"), ("Conv", "conv", ["a", "w"], "b"), ("Clip", "behind", ["b"], "c"),
        ("MatMul", "linear", ["c", "w"], "d"), ("MatMul", "attention", ["d", "c"], "e"), ("Clip", "later", ["e"], "f"),
        ("Gemm", "head", ["f", "w"], "g"),
    ]  # fmt: skip
    nodes = [helper.make_node(kind, inputs, [output], name=name) for kind, name, inputs, output in chain]
    graph = helper.make_graph(nodes, "it", [], [], [weight])
    assert in_int8(graph) == ["conv", "behind", "linear"]


def test_a_network_without_such_products_is_refused(tmp_path: Path) -> None:
    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor([1.0, 2, 3]))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean((2, 3)) * self.weight

    content, _ = onnx_content(model_of(Scaled(), features=3))
    with pytest.raises(UserError, match="no convolution and no matrix product"):
        int8_graph(content, [pixels(2, 0)])


def test_what_the_quantizer_cannot_do_is_refused_in_words(content: bytes) -> None:
    small = np.zeros((2, 3, 8, 16), np.uint8)  # the network takes 16 × 16 pixels
    with pytest.raises(UserError, match=r"^onnxruntime cannot compute the network in int8: .*[Dd]imension") as caught:
        int8_graph(content, [small])
    assert "\n" not in str(caught.value)


def test_errors_of_the_photos_stay_what_they_are(content: bytes) -> None:
    def unreadable() -> Iterator[NDArray[np.uint8]]:
        yield pixels(2, 0)
        raise UserError("there is none that can be read")

    with pytest.raises(UserError, match=r"^there is none that can be read$"):
        int8_graph(content, unreadable())
