"""Miner `distance-weighted`: the weights against a loop, the draws against the weights, and pytorch-metric-learning."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.miners import DistanceWeightedMiner as TheirDistanceWeightedMiner
from pytorch_metric_learning.utils import loss_and_miner_utils
from scipy.integrate import quad
from scipy.stats import chisquare
from torch import Tensor

from helpers import rows_of
from oracles import ordered_pairs
from siamesekit.components.miners.distance_weighted import (
    DistanceWeightedMiner,
    distance_weighted,
    log_weights,
    negative_weights,
)
from siamesekit.errors import ComponentError
from siamesekit.registry import MINERS


def by_loop(embeddings: Tensor, labels: list[int], cutoff: float, upper: float) -> np.ndarray:
    """The probabilities, one anchor and one negative at a time, by the density itself."""
    points = [[float(x) for x in row] for row in embeddings]
    points = [[x / math.hypot(*row) for x in row] for row in points]
    size, dim = len(points), embeddings.shape[1]
    result = np.zeros((size, size))
    for a in range(size):
        negatives = [n for n in range(size) if labels[n] != labels[a]]
        inside = [n for n in negatives if math.dist(points[a], points[n]) < upper]
        for n in negatives:
            d = max(math.dist(points[a], points[n]), cutoff)
            density = d ** (dim - 2) * (1 - d * d / 4) ** ((dim - 3) / 2)
            result[a, n] = 1 / density if n in inside else 0 if inside else 1
        if negatives:
            result[a] /= result[a].sum()
    return result


@pytest.mark.parametrize("dim", [1, 2, 3, 8, 256])
def test_log_weights_equal_the_loop(dim: int) -> None:
    distances = [0.0, 1e-9, 0.3, 0.5, 0.7, 1.0, 1.39, 1.9, 1.999999]
    expected = [
        (2 - dim) * math.log(max(d, 0.5)) - (dim - 3) / 2 * math.log(1 - max(d, 0.5) ** 2 / 4) for d in distances
    ]
    found = log_weights(torch.tensor(distances, dtype=torch.float64), dim, 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dim", [3, 5, 32])
def test_the_density_is_that_of_random_points_on_the_sphere(dim: int) -> None:
    """1 / weight, scaled to an area of 1, against the shares of 100,000 pairs of points in ten bins."""
    draw = torch.Generator().manual_seed(0)
    a, b = (F.normalize(torch.randn(100_000, dim, dtype=torch.float64, generator=draw)) for _ in range(2))
    distances = (a - b).norm(dim=1).numpy()

    def density(d: float) -> float:
        return math.exp(-float(log_weights(torch.tensor(d, dtype=torch.float64), dim, 1e-12)))

    edges = np.linspace(0, 2, 11)
    areas = np.array([quad(density, low, high)[0] for low, high in pairwise(edges)])
    found = np.histogram(distances, edges)[0] / len(distances)
    np.testing.assert_allclose(found, areas / areas.sum(), atol=0.006)


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=9),
    st.integers(2, 20),
    st.integers(0, 10_000),
    st.floats(0.05, 1.2),
    st.floats(0.05, 0.7),
)
@settings(deadline=None)
def test_weights_equal_the_loop(labels: list[int], dim: int, seed: int, cutoff: float, more: float) -> None:
    embeddings = torch.from_numpy(np.random.default_rng(seed).normal(size=(len(labels), dim)))
    found = negative_weights(embeddings, torch.tensor(labels), cutoff, cutoff + more)
    np.testing.assert_allclose(found, by_loop(embeddings, labels, cutoff, cutoff + more), rtol=1e-9, atol=1e-12)


def test_weights_are_those_that_pytorch_metric_learning_draws_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every anchor has a negative within the upper cutoff; without one theirs are NaN."""
    draw = torch.Generator().manual_seed(3)
    embeddings = torch.randn(40, 6, dtype=torch.float64, generator=draw) + 0.5
    labels = torch.randint(0, 10, (40,), generator=draw)
    seen: list[Tensor] = []

    def catch(labels: Tensor, weights: Tensor, **_: object) -> tuple[Tensor, ...]:
        seen.append(weights)
        return (labels[:0],) * 3

    monkeypatch.setattr(loss_and_miner_utils, "get_random_triplet_indices", catch)
    TheirDistanceWeightedMiner(cutoff=0.5, nonzero_loss_cutoff=1.4, distance=LpDistance())(embeddings, labels)
    assert not seen[0].isnan().any()
    np.testing.assert_allclose(negative_weights(embeddings, labels, 0.5, 1.4), seen[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_negatives_are_drawn_by_their_weights(seed: int) -> None:
    """89,700 pairs of 300 photos that coincide: χ² does not tell the draws from the weights, but from uniform ones."""
    draw = torch.Generator().manual_seed(seed)
    others = torch.randn(12, 4, generator=draw)
    embeddings = torch.cat([others[:6], torch.randn(1, 4, generator=draw).expand(300, 4), others[6:]])
    labels = torch.tensor([1, 2, 3, 1, 2, 4] + [0] * 300 + [5, 6, 7, 8, 9, 10])
    shown = list(range(7)) + list(range(306, 312))
    (weights,) = by_loop(embeddings[shown], labels[shown].tolist(), 0.5, 1.4)[6:7]
    torch.manual_seed(seed)
    anchor, _, negative = distance_weighted(embeddings, labels, 0.5, 1.4)
    counts = negative[labels[anchor] == 0].bincount(minlength=312).numpy()[shown]
    assert counts.sum() == 300 * 299
    assert (counts[weights == 0] == 0).all()
    there = weights > 0
    assert there.sum() > 4
    assert chisquare(counts[there], counts.sum() * weights[there]).pvalue > 1e-3
    assert chisquare(counts[there]).pvalue < 1e-6


def test_positive_pairs_of_an_anchor_draw_independently() -> None:
    embeddings, labels = torch.randn(40, 8), torch.tensor([0] * 20 + [1] * 20)
    torch.manual_seed(0)
    anchor, _, negative = distance_weighted(embeddings, labels, 0.5, 1.9)
    assert len(set(negative[anchor == 0].tolist())) > 5


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(0, 10_000))
@settings(deadline=None)
def test_each_positive_pair_has_one_triplet_in_order(labels: list[int], seed: int) -> None:
    embeddings = torch.from_numpy(np.random.default_rng(seed).normal(size=(len(labels), 3)))
    found = rows_of(distance_weighted(embeddings, torch.tensor(labels, dtype=torch.int64), 0.5, 1.4))
    several = len(set(labels)) > 1
    assert [row[:2] for row in found] == (ordered_pairs(labels, same=True) if several else [])
    assert all(labels[n] != labels[a] for a, _, n in found)


def test_where_all_negatives_are_beyond_the_upper_cutoff_they_are_equally_likely() -> None:
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.2]])
    weights = negative_weights(embeddings, torch.tensor([0, 0, 1, 2]), 0.5, 1.4)
    np.testing.assert_allclose(weights[:2], [[0, 0, 0.5, 0.5]] * 2, rtol=1e-12)


def test_draws_are_torchs_and_the_length_of_embeddings_does_not_matter() -> None:
    embeddings, labels = torch.randn(30, 5), torch.arange(30) % 6
    miner = MINERS.build("distance-weighted", distance=None, seed=0)
    drawn = []
    for seed, scale in ((1, 1), (1, torch.rand(30, 1) + 0.5), (2, 1)):
        torch.manual_seed(seed)
        drawn.append(rows_of(miner(embeddings * scale, labels)))
    assert drawn[0] == drawn[1] != drawn[2]


def test_photos_that_coincide_are_drawn_as_at_the_cutoff() -> None:
    """Embeddings that have collapsed into one point, in float32 and many dimensions: all as likely."""
    weights = negative_weights(torch.ones(6, 512), torch.tensor([0, 0, 1, 1, 2, 2]), 0.5, 1.4)
    np.testing.assert_allclose(weights[0], [0, 0, 0.25, 0.25, 0.25, 0.25], rtol=1e-9)


def test_embeddings_that_are_not_finite_give_valid_indices() -> None:
    found = rows_of(distance_weighted(torch.full((4, 3), torch.nan), torch.tensor([0, 0, 1, 1]), 0.5, 1.4))
    assert len(found) == 4
    assert all(n in ((2, 3), (0, 1))[a // 2] for a, _, n in found)


def test_cutoffs_that_leave_nothing_between_them_are_refused() -> None:
    with pytest.raises(ComponentError, match=r"cutoff 1.4 must be less than upper_cutoff 1.4"):
        DistanceWeightedMiner(cutoff=1.4)
    with pytest.raises(ComponentError, match="upper_cutoff: must be less than 2, not 2"):
        MINERS.build("distance-weighted", {"upper_cutoff": 2.0}, distance=None, seed=0)
