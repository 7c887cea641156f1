"""Regularizers `pml/*` inside losses `pml/*`: values and gradients of pytorch-metric-learning called directly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses, regularizers
from torch import nn

from siamesekit.registry import LOSSES, REGULARIZERS

CLASSES, DIMENSIONS = 4, 6
Case = tuple[str, dict[str, Any], Callable[[], Any]]
OF_EMBEDDINGS: dict[str, Case] = {
    "lp": ("lp", {}, regularizers.LpRegularizer),
    "lp, p 1": ("lp", {"p": 1, "power": 2}, lambda: regularizers.LpRegularizer(p=1, power=2)),
    "zero-mean": ("zero-mean", {}, regularizers.ZeroMeanRegularizer),
}
OF_WEIGHTS: dict[str, Case] = {
    "center-invariant": ("center-invariant", {}, regularizers.CenterInvariantRegularizer),
    "regular-face": ("regular-face", {}, regularizers.RegularFaceRegularizer),
    "lp": ("lp", {}, regularizers.LpRegularizer),
    "sparse-centers": (
        "sparse-centers",
        {"centers_per_class": 2},
        lambda: regularizers.SparseCentersRegularizer(CLASSES, 2),
    ),
}


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(CLASSES), 3))
    return torch.from_numpy(rng.normal(size=(12, DIMENSIONS))).requires_grad_(), torch.from_numpy(labels)


def assert_same(name: str, options: dict[str, Any], reference: nn.Module) -> float:
    embeddings, labels = batch()
    loss = LOSSES.build(f"pml/{name}", options, embedding_dim=DIMENSIONS, num_classes=CLASSES)
    reference.load_state_dict(loss.module.state_dict())
    found, expected = loss(embeddings, labels, None).objective, reference(embeddings, labels)
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    mine = torch.autograd.grad(found, [embeddings, *loss.parameters()])
    theirs = torch.autograd.grad(expected, [embeddings, *reference.parameters()])
    for one, two in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)
    return found.item()


def test_every_member_has_a_case() -> None:
    assert {name for name, _, _ in [*OF_EMBEDDINGS.values(), *OF_WEIGHTS.values()]} == set(
        REGULARIZERS.family("pml").members()
    )


@pytest.mark.parametrize("case", OF_EMBEDDINGS)
def test_of_embeddings(case: str) -> None:
    name, options, make = OF_EMBEDDINGS[case]
    table = {"embedding_regularizer": {"name": f"pml/{name}", **options}, "embedding_reg_weight": 0.7}
    reference = losses.TripletMarginLoss(embedding_regularizer=make(), embedding_reg_weight=0.7)
    plain = losses.TripletMarginLoss()(*batch()).item()
    assert assert_same("triplet-margin", table, reference) > plain + 1e-3


@pytest.mark.parametrize("case", OF_WEIGHTS)
def test_of_weights(case: str) -> None:
    name, options, make = OF_WEIGHTS[case]
    table: dict[str, Any] = {"weight_regularizer": {"name": f"pml/{name}", **options}, "weight_reg_weight": 0.7}
    arguments: dict[str, Any] = {"num_classes": CLASSES, "embedding_size": DIMENSIONS, "weight_reg_weight": 0.7}
    if name == "sparse-centers":
        reference = losses.SoftTripleLoss(centers_per_class=2, weight_regularizer=make(), **arguments)
        assert_same("soft-triple", {"centers_per_class": 2, **table}, reference)
    else:
        assert_same("normalized-softmax", table, losses.NormalizedSoftmaxLoss(weight_regularizer=make(), **arguments))
