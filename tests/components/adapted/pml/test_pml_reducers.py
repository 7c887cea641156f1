"""Reducers `pml/*` inside losses `pml/*`: values and gradients of pytorch-metric-learning called directly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses, reducers

from siamesekit.errors import ComponentError
from siamesekit.registry import LOSSES, REDUCERS

CASES: dict[str, tuple[str, dict[str, Any], Callable[[], Any]]] = {
    "mean": ("mean", {}, reducers.MeanReducer),
    "sum": ("sum", {}, reducers.SumReducer),
    "avg-non-zero": ("avg-non-zero", {}, reducers.AvgNonZeroReducer),
    "threshold, low": ("threshold", {"low": 0.2}, lambda: reducers.ThresholdReducer(low=0.2)),
    "threshold, both": ("threshold", {"low": 0.1, "high": 0.4}, lambda: reducers.ThresholdReducer(low=0.1, high=0.4)),
    "class-weighted": (
        "class-weighted",
        {"weights": [1.0, 2.0, 0.5, 0.0]},
        lambda: reducers.ClassWeightedReducer(torch.tensor([1.0, 2.0, 0.5, 0.0])),
    ),
    "per-anchor": ("per-anchor", {}, reducers.PerAnchorReducer),
    "per-anchor of sum": (
        "per-anchor",
        {"reducer": {"name": "pml/sum"}},
        lambda: reducers.PerAnchorReducer(reducer=reducers.SumReducer()),
    ),
    "divisor": ("divisor", {}, reducers.DivisorReducer),
}
LOSS = {"divisor": ("margin", losses.MarginLoss)}
"""A loss that gives what the reducer asks for."""


def test_every_member_has_a_case() -> None:
    assert {name for name, _, _ in CASES.values()} == set(REDUCERS.family("pml").members())


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradient_are_theirs(case: str) -> None:
    name, options, make = CASES[case]
    loss_name, loss_class = LOSS.get(name, ("contrastive", losses.ContrastiveLoss))
    rng = np.random.default_rng(0)
    embeddings = torch.from_numpy(rng.normal(size=(12, 5))).requires_grad_()
    labels = torch.from_numpy(rng.permutation(np.repeat(np.arange(4), 3)))
    loss = LOSSES.build(f"pml/{loss_name}", {"reducer": {"name": f"pml/{name}", **options}})
    found = loss(embeddings, labels, None).objective
    expected = loss_class(reducer=make())(embeddings, labels)
    assert expected.item() > 0
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    [mine], [theirs] = (torch.autograd.grad(value, embeddings) for value in (found, expected))
    torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


def test_the_reducers_differ() -> None:
    """So that one taken for another would show."""
    rng = np.random.default_rng(0)
    embeddings, labels = torch.from_numpy(rng.normal(size=(12, 5))), torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3])
    values = {
        case: LOSSES.build("pml/contrastive", {"reducer": {"name": f"pml/{name}", **options}})(
            embeddings, labels, None
        ).objective.item()
        for case, (name, options, _) in CASES.items()
        if name != "divisor"
    }
    assert len({round(value, 9) for value in values.values()}) == len(values)


def test_a_threshold_without_limits_is_refused() -> None:
    with pytest.raises(ComponentError, match=r"^pml/threshold refuses these options: .+"):
        REDUCERS.build("pml/threshold")
