"""Distances `pml/*` against a plain loop and against pytorch-metric-learning's own matrices."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning import distances

from siamesekit.components.distances.distance import pairwise
from siamesekit.registry import DISTANCES

Row = list[float]


def normed(row: Row, p: float = 2.0) -> Row:
    length = sum(abs(x) ** p for x in row) ** (1 / p)
    return [x / length for x in row]


def lp(a: Row, b: Row, p: float) -> float:
    return float(sum(abs(x - y) ** p for x, y in zip(a, b, strict=True)) ** (1 / p))


def dot(a: Row, b: Row) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def variance(row: Row) -> float:
    return sum((x - sum(row) / len(row)) ** 2 for x in row) / (len(row) - 1)


def snr(a: Row, b: Row) -> float:
    return variance([x - y for x, y in zip(a, b, strict=True)]) / variance(a)


CASES: dict[str, tuple[str, dict[str, Any], Callable[[Row, Row], float]]] = {
    "cosine": ("cosine-similarity", {}, lambda a, b: 1 - dot(normed(a), normed(b))),
    "cosine^3": ("cosine-similarity", {"power": 3}, lambda a, b: 1 - dot(normed(a), normed(b)) ** 3),
    "dot": ("dot-product-similarity", {"normalize_embeddings": False}, lambda a, b: 1 - dot(a, b)),
    "dot, scaled": ("dot-product-similarity", {}, lambda a, b: 1 - dot(normed(a), normed(b))),
    "lp": ("lp", {}, lambda a, b: lp(normed(a), normed(b), 2)),
    "lp, squared": ("lp", {"normalize_embeddings": False, "power": 2}, lambda a, b: lp(a, b, 2) ** 2),
    "l1": ("lp", {"normalize_embeddings": False, "p": 1}, lambda a, b: lp(a, b, 1)),
    "l3, scaled": ("lp", {"p": 3}, lambda a, b: lp(normed(a, 3), normed(b, 3), 3)),
    "snr": ("snr", {"normalize_embeddings": False}, snr),
    "snr, scaled": ("snr", {}, lambda a, b: snr(normed(a), normed(b))),
}


def test_every_member_has_a_loop() -> None:
    assert {name for name, _, _ in CASES.values()} == set(DISTANCES.family("pml").members())


@pytest.mark.parametrize("case", CASES)
def test_rows_and_matrix_equal_the_loop(case: str) -> None:
    name, options, formula = CASES[case]
    distance = DISTANCES.build(f"pml/{name}", options)
    rng = np.random.default_rng(0)
    a, b = torch.from_numpy(rng.normal(size=(6, 5))), torch.from_numpy(rng.normal(size=(4, 5)))
    expected = torch.tensor([[formula(x, y) for y in b.tolist()] for x in a.tolist()], dtype=torch.float64)
    # torch's pairwise_distance adds 1e-6 to each difference
    off = 1e-5 if name == "lp" else 1e-12
    np.testing.assert_allclose(pairwise(distance, a, b), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(distance(a[:4], b), expected.diagonal(), rtol=off, atol=off)
    np.testing.assert_allclose(distance(a[:, None], b[None]), expected, rtol=off, atol=off)
    np.testing.assert_allclose(distance(a[0], b), expected[0], rtol=off, atol=off)
    assert distance(a[0], b[0]).item() == pytest.approx(expected[0, 0].item(), rel=off, abs=off)
    assert math.isfinite(float(expected.sum()))


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_right_numerically(case: str) -> None:
    name, options, _ = CASES[case]
    distance = DISTANCES.build(f"pml/{name}", options)
    a, b = (torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(n)) for n in (0, 1))
    assert torch.autograd.gradcheck(lambda x, y: distance(x, y), (a.requires_grad_(), b.requires_grad_()))
    assert torch.autograd.gradcheck(lambda x, y: pairwise(distance, x, y), (a, b))


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("lp", lambda: distances.LpDistance()),
        ("snr", lambda: distances.SNRDistance()),
        ("cosine-similarity", lambda: distances.CosineSimilarity()),
        ("dot-product-similarity", lambda: distances.DotProductSimilarity()),
    ],
)
def test_ranks_are_theirs(name: str, theirs: Callable[[], Any]) -> None:
    """The nearest by our distance is the nearest by theirs, whichever way round theirs goes."""
    rows = torch.randn(20, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    reference = theirs()
    matrix = reference(rows)
    nearest = (-matrix if reference.is_inverted else matrix).argsort(1)
    assert torch.equal(pairwise(DISTANCES.build(f"pml/{name}"), rows, rows).argsort(1), nearest)
