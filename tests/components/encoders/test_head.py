"""The head: what Keras's Dense and BatchNormalization layers do, written out."""

import math
from inspect import signature
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from siamesekit.components.encoders.backbone import Backbone
from siamesekit.components.encoders.head import Head, L2Normalize
from siamesekit.config.tables import HeadTable
from siamesekit.engine.chunking import why_whole
from siamesekit.model import Encoder


@pytest.mark.parametrize(
    ("options", "order"),
    [
        ({}, ["dense1", "activation1", "batchnorm1", "dense2", "activation2", "normalize"]),
        ({"last_activation": False}, ["dense1", "activation1", "batchnorm1", "dense2", "normalize"]),
        ({"batchnorm": False}, ["dense1", "activation1", "dense2", "activation2", "normalize"]),
        ({"normalize": False}, ["dense1", "activation1", "batchnorm1", "dense2", "activation2"]),
        ({"layers": [4]}, ["dense1", "activation1", "normalize"]),
        ({"layers": []}, ["normalize"]),
        (
            {"dropout": 0.5, "layers": [4, 3, 2]},
            [
                "dense1",
                "activation1",
                "batchnorm1",
                "dropout1",
                "dense2",
                "activation2",
                "batchnorm2",
                "dropout2",
                "dense3",
                "activation3",
                "normalize",
            ],
        ),
        (
            {"dropout": 0.5, "batchnorm": False},
            ["dense1", "activation1", "dropout1", "dense2", "activation2", "normalize"],
        ),
        ({"dropout": 0.5, "layers": [4]}, ["dense1", "activation1", "normalize"]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_layers_stand_in_this_order(options: dict, order: list[str]) -> None:
    assert [name for name, _ in Head(8, **options).named_children()] == order


@pytest.mark.parametrize(("layers", "dim"), [([5, 3], 3), ([7], 7), ([], 8)])
def test_the_embedding_has_the_last_layers_units(layers: list[int], dim: int) -> None:
    head = Head(8, layers)
    assert head.embedding_dim == dim
    assert head(torch.randn(2, 8)).shape == (2, dim)


def test_weights_are_glorot_uniform_and_biases_zero() -> None:
    torch.manual_seed(0)
    for dense in (module for module in Head(2048, [512, 256]) if isinstance(module, nn.Linear)):
        bound = math.sqrt(6 / (dense.in_features + dense.out_features))
        weights = dense.weight.detach().flatten()
        assert weights.abs().max() <= bound
        assert weights.abs().max() > 0.999 * bound
        counts = np.histogram(weights.numpy(), bins=10, range=(-bound, bound))[0] / len(weights)
        np.testing.assert_allclose(counts, 0.1, atol=0.005)
        assert torch.equal(dense.bias, torch.zeros_like(dense.bias))


def test_inference_equals_the_layers_written_out() -> None:
    torch.manual_seed(0)
    head = Head(6, [5, 4]).double().eval()
    norm = head.batchnorm1
    with torch.no_grad():
        for tensor in (norm.running_mean, norm.weight, norm.bias, head.dense1.bias):
            tensor.normal_()
        norm.running_var.uniform_(0, 0.01)  # small, so that eps shows
    x = np.random.default_rng(0).normal(size=(3, 6))
    state = {name: value.numpy() for name, value in head.state_dict().items()}
    hidden = np.maximum(x @ state["dense1.weight"].T + state["dense1.bias"], 0)
    scale = state["batchnorm1.weight"] / np.sqrt(state["batchnorm1.running_var"] + 1e-3)
    hidden = (hidden - state["batchnorm1.running_mean"]) * scale + state["batchnorm1.bias"]
    out = np.maximum(hidden @ state["dense2.weight"].T + state["dense2.bias"], 0)
    expected = out / np.sqrt(np.maximum((out**2).sum(1, keepdims=True), 1e-12))
    np.testing.assert_allclose(head(torch.from_numpy(x)).detach(), expected, atol=1e-12)


def test_batchnorm_moves_its_statistics_as_kerass_momentum_of_99_percent() -> None:
    head = Head(3, [4, 2])
    features = torch.randn(16, 3)
    hidden = head.activation1(head.dense1(features))
    head.train()(features)
    np.testing.assert_allclose(head.batchnorm1.running_mean, 0.01 * hidden.mean(0).detach(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [("relu", 0.0), ("gelu", -0.15865526), ("silu", -0.26894142), ("tanh", -0.76159416), ("none", -1.0)],
)
def test_activation_at_minus_one(activation: str, expected: float) -> None:
    head = Head(2, [2], activation=activation, normalize=False)
    assert head.activation1(torch.tensor(-1.0)).item() == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5))
@settings(deadline=None)
def test_normalisation_equals_its_formula(row: list[float]) -> None:
    out = L2Normalize()(torch.tensor([row], dtype=torch.float64))
    expected = np.array(row) / math.sqrt(max(sum(x * x for x in row), 1e-12))
    np.testing.assert_allclose(out[0], expected, rtol=1e-12)


def test_a_zero_row_stays_zero_with_a_finite_gradient() -> None:
    rows = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    out = L2Normalize()(rows)
    out.sum().backward()
    np.testing.assert_allclose(out.detach(), [[0, 0], [0.6, 0.8]], rtol=1e-6)
    assert torch.isfinite(rows.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_normalisation_in_half_precision_is_that_of_float32_rounded(dtype: torch.dtype) -> None:
    """Squares from 256 on are infinite in float16, and 1e-12 is 0."""
    rows = torch.tensor([[0.0, 0.0], [300.0, -400.0], [3e-4, 4e-4]]).to(dtype)
    assert torch.equal(L2Normalize()(rows), L2Normalize()(rows.double()).to(dtype))


def test_the_configs_table_has_the_heads_options_types_and_defaults() -> None:
    hints = get_type_hints(Head.__init__)
    assert get_args(HeadTable.model_fields["activation"].annotation) == get_args(hints["activation"])
    defaults = {name: p.default for name, p in signature(Head).parameters.items() if name != "num_features"}
    of_projection = {"projection": 0, "normalize_features": False}  # set by the table [projection]
    assert HeadTable().model_dump() | of_projection == defaults
    for activation in get_args(hints["activation"]):
        Head(4, [3], activation=activation)


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_a_share_of_dropout_is_below_one(dropout: float) -> None:
    with pytest.raises(ValidationError, match="dropout"):
        HeadTable(dropout=dropout)


def test_dropout_takes_its_share_of_hidden_outputs_and_scales_the_rest() -> None:
    """After BatchNorm, so that the statistics are those of all outputs; the embedding's own numbers are not dropped."""
    torch.manual_seed(0)
    head = Head(3, [4000, 2], dropout=0.25, normalize=False).train()
    features = torch.randn(16, 3)
    seen: dict[str, torch.Tensor] = {}
    for name in ("batchnorm1", "dropout1", "activation2"):
        head.get_submodule(name).register_forward_hook(lambda m, i, o, name=name: seen.__setitem__(name, o.detach()))
    assert torch.equal(head(features).detach(), seen["activation2"])
    kept = seen["dropout1"] != 0
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.01)
    np.testing.assert_allclose(seen["dropout1"][kept], seen["batchnorm1"][kept] / 0.75, rtol=1e-5)


def test_dropout_makes_batches_be_encoded_whole_and_rests_in_inference() -> None:
    def encoder(dropout: float) -> Encoder:
        backbone = Backbone(nn.Sequential(nn.Flatten(), nn.Linear(12, 6)), 6, (0.0,) * 3, (1.0,) * 3)
        torch.manual_seed(0)
        return Encoder(backbone, Head(6, [5, 4], dropout=dropout))

    images = torch.rand(3, 3, 2, 2)
    assert why_whole(encoder(0.0)) is None
    dropping = encoder(0.5)
    assert why_whole(dropping) == "Dropout head.dropout1 is random"
    dropping.backbone.freeze_before("head")
    assert why_whole(dropping) == "Dropout head.dropout1 is random", "with a frozen backbone too"
    dropping.train()
    assert not torch.equal(dropping(images), dropping(images))
    dropping.eval()
    without = encoder(0.0).eval()
    without.load_state_dict(dropping.state_dict())
    assert torch.equal(dropping(images), without(images))
