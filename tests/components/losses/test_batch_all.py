"""Batch-all against a triple loop in float64, and against pytorch-metric-learning."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import TripletMarginMiner
from pytorch_metric_learning.reducers import AvgNonZeroReducer, SumReducer
from torch import Tensor

from helpers import assert_same_gradients
from oracles import triplets_of
from siamesekit.components.distances.distance import pairwise
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.losses import batch_all as module
from siamesekit.components.losses.batch_all import Hinge, Mining, batch_all, batch_all_of
from siamesekit.components.tuples import Candidates

MININGS, HINGES = get_args(Mining), get_args(Hinge)


@pytest.fixture(params=["by comparison", "by bisection"], autouse=True)
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few or many photos of an individual: both ways must hold for any number; in chunks of a few rows."""
    monkeypatch.setattr(module, "BISECT_FROM", 10**9 if request.param == "by comparison" else 0)
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 40)


def of_triplet(d_ap: Tensor, d_an: Tensor, margin: float, mining: str) -> Tensor | None:
    """A triplet's loss before the hinge's square; None where it is not mined."""
    if mining == "hard" and d_an > d_ap:
        return None
    if mining == "semi-hard" and not d_ap < d_an < d_ap + margin:
        return None
    return (d_ap - d_an + margin).relu()


def by_loop(distances: Tensor, labels: Tensor, margin: float, mining: str, hinge: str) -> tuple[Tensor, int, int]:
    """Total, triplets and active triplets, triplet by triplet; the total with gradient."""
    total, triplets, active = distances.new_zeros(()), 0, 0
    for a, p, n in triplets_of(labels):
        loss = of_triplet(distances[a, p], distances[a, n], margin, mining)
        if loss is None:
            continue
        total = total + (loss if hinge == "linear" else loss**2)
        triplets += 1
        active += int(loss > 0)
    return total, triplets, active


def agrees(distances: Tensor, labels: Tensor, margin: float, mining: Mining, hinge: Hinge) -> int:
    """Asserts equality with the loop; gives the number of active triplets."""
    distances = distances.clone().requires_grad_()
    expected, triplets, active = by_loop(distances, labels, margin, mining, hinge)
    found = batch_all(distances, labels, margin, mining, hinge)
    (gradient,) = torch.autograd.grad(found.total, distances)
    assert (found.triplets.item(), found.active.item()) == (triplets, active)
    np.testing.assert_allclose(found.total.item(), expected.item(), rtol=1e-12, atol=1e-12)
    if expected.requires_grad:
        (expected_gradient,) = torch.autograd.grad(expected, distances)
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-10, atol=1e-10)
    else:
        assert not gradient.any()
    return active


def distances_of(seed: int, photos: int) -> Tensor:
    """Not symmetric, which a matrix of distances need not be."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(0, 2, size=(photos, photos)))


@pytest.mark.parametrize("hinge", HINGES)
@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize(
    "labels",
    [[3, 1, 1, 0, 3, 1, 1, 2, 0, 1, 3], [0] * 6 + [1], [0, 0, 1, 1, 2, 2, 3, 3]],
    ids=["uneven, with a singleton", "all but one", "pairs"],
)
def test_equals_the_triple_loop(mining: Mining, hinge: Hinge, labels: list[int]) -> None:
    assert agrees(distances_of(1, len(labels)), torch.tensor(labels), 0.5, mining, hinge) > 0


@pytest.mark.medium
@given(
    st.lists(st.integers(-2, 3), min_size=1, max_size=9),
    st.integers(0, 10_000),
    st.floats(0, 3),
    st.sampled_from(MININGS),
    st.sampled_from(HINGES),
)
@settings(deadline=None, max_examples=60)
def test_equals_the_triple_loop_for_any_individuals(
    labels: list[int], seed: int, margin: float, mining: Mining, hinge: Hinge
) -> None:
    agrees(distances_of(seed, len(labels)), torch.tensor(labels), margin, mining, hinge)


@pytest.mark.slow
@given(
    st.integers(0, 10_000), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from(MININGS), st.sampled_from(HINGES)
)
@settings(deadline=None, max_examples=60)
def test_ties_are_counted_as_the_loop_does(seed: int, margin: float, mining: Mining, hinge: Hinge) -> None:
    """Distances of quarters, exact in float64: d_an often equals d_ap or d_ap + margin."""
    distances = torch.from_numpy(np.random.default_rng(seed).integers(0, 5, size=(8, 8)) / 4)
    agrees(distances, torch.tensor([0, 0, 0, 1, 1, 1, 2, 3]), margin, mining, hinge)


@pytest.mark.slow
@given(
    st.lists(st.integers(-2, 3), min_size=1, max_size=9),
    st.integers(0, 10_000),
    st.floats(-4, 4),
    st.sampled_from(MININGS),
    st.sampled_from(HINGES),
)
@settings(deadline=None, max_examples=100)
def test_equals_the_triple_loop_for_distances_of_either_sign(
    labels: list[int], seed: int, shift: float, mining: Mining, hinge: Hinge
) -> None:
    """A negated dot product, say: all below 0, all above it, or on both sides."""
    agrees(distances_of(seed, len(labels)) + shift - 1, torch.tensor(labels), 0.5, mining, hinge)


@pytest.mark.parametrize("hinge", HINGES)
@pytest.mark.parametrize("mining", MININGS)
def test_a_shift_of_all_distances_changes_nothing(mining: Mining, hinge: Hinge) -> None:
    """The loss is of differences, so `dot` trains unit embeddings as `cosine` does, which is 1 more."""
    distances = torch.from_numpy(np.random.default_rng(9).integers(0, 64, (12, 12)) / 32)
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4])
    found = []
    for shift in (0.0, -1.0, -8.0):
        shifted = (distances + shift).requires_grad_()
        value = batch_all(shifted, labels, 0.5, mining, hinge)
        found.append((value.total.item(), value.active.item(), torch.autograd.grad(value.total, shifted)[0]))
    assert found[0][0] > 1
    assert [row[:2] for row in found[1:]] == [found[0][:2]] * 2
    assert all(torch.equal(row[2], found[0][2]) for row in found)


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize(
    "labels", [[], [4], [7] * 5, [0, 1, 2, 3]], ids=["nothing", "one photo", "one individual", "singletons"]
)
def test_without_a_triplet_loss_and_gradient_are_zero(labels: list[int], mining: Mining) -> None:
    distances = distances_of(0, len(labels)).requires_grad_()
    found = batch_all(distances, torch.tensor(labels, dtype=torch.int64), 1.0, mining)
    found.total.backward()
    assert [value.item() for value in found] == [0, 0, 0]
    assert torch.equal(distances.grad, torch.zeros_like(distances))


@pytest.mark.parametrize(("mining", "kind"), [("all", "all"), ("hard", "hard"), ("semi-hard", "semihard")])
@pytest.mark.parametrize("reducer", [SumReducer(), AvgNonZeroReducer()], ids=["sum", "mean-nonzero"])
def test_value_and_gradient_equal_pytorch_metric_learning(
    mining: Mining, kind: str, reducer: SumReducer | AvgNonZeroReducer
) -> None:
    rng = np.random.default_rng(3)
    embeddings = torch.from_numpy(rng.normal(size=(30, 6))).requires_grad_()
    labels = torch.from_numpy(rng.integers(0, 7, size=30))
    plain = LpDistance(normalize_embeddings=False)
    triplets = TripletMarginMiner(margin=0.8, type_of_triplets=kind, distance=plain)(embeddings, labels)
    expected = TripletMarginLoss(margin=0.8, distance=plain, reducer=reducer)(embeddings, labels, triplets)
    found = batch_all(pairwise(Euclidean(), embeddings, embeddings), labels, 0.8, mining)
    objective = found.total if isinstance(reducer, SumReducer) else found.total / found.active
    assert found.active > 100
    assert objective.item() == pytest.approx(expected.item(), rel=1e-12)
    assert_same_gradients(objective, expected, embeddings, above=0.01, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("hinge", HINGES)
@pytest.mark.parametrize("mining", MININGS)
def test_gradient_is_right_numerically(mining: Mining, hinge: Hinge) -> None:
    """Where a triplet does not leave its class within the step, which no random one does."""
    distances = distances_of(4, 9).requires_grad_()
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 3])
    assert torch.autograd.gradcheck(lambda d: batch_all(d, labels, 0.4, mining, hinge).total, (distances,))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("place", [(0, 1), (0, 3), (2, 2)], ids=["positive", "negative", "itself"])
def test_a_distance_that_is_not_finite_makes_the_loss_nan(value: float, place: tuple[int, int]) -> None:
    distances = distances_of(5, 6)
    distances[place] = value
    assert batch_all(distances, torch.tensor([0, 0, 0, 1, 1, 1]), 0.2).total.isnan()


def test_the_gradient_scales_with_what_comes_after() -> None:
    distances, labels = distances_of(6, 6).requires_grad_(), torch.tensor([0, 0, 0, 1, 1, 1])
    (once,) = torch.autograd.grad(batch_all(distances, labels, 0.3).total, distances)
    (thrice,) = torch.autograd.grad(-3 * batch_all(distances, labels, 0.3).total, distances)
    assert once.any()
    assert torch.equal(thrice, -3 * once)


@pytest.mark.slow
@pytest.mark.parametrize("hinge", HINGES)
@pytest.mark.parametrize("mining", MININGS)
def test_float32_is_as_near_to_float64_as_float32_is(mining: Mining, hinge: Hinge) -> None:
    rng = np.random.default_rng(7)
    distances, labels = torch.from_numpy(rng.uniform(0, 2, (200, 200))), torch.from_numpy(rng.integers(0, 20, 200))
    found = [
        batch_all(distances.to(dtype), labels, 0.2, mining, hinge).total for dtype in (torch.float32, torch.float64)
    ]
    assert found[0].dtype == torch.float32
    assert found[0].item() == pytest.approx(found[1].item(), rel=2e-5)


@pytest.mark.medium
@given(
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.25, 0.3, 1.0, 3.0]),
    st.sampled_from(MININGS),
    st.sampled_from(HINGES),
)
@settings(deadline=None, max_examples=100)
def test_any_positives_and_negatives_of_some_anchors_equal_the_loop(
    seed: int, margin: float, mining: Mining, hinge: Hinge
) -> None:
    """A positive may come twice, an anchor may have none; what is neither is not looked at, and may be anything."""
    rng = np.random.default_rng(seed)
    anchors, photos, most = rng.integers(1, 5), rng.integers(1, 9), rng.integers(0, 5)
    positive, there = rng.integers(photos, size=(anchors, most)), rng.random((anchors, most)) < 0.6
    negative = rng.random((anchors, photos)) < 0.5
    values = rng.integers(0, 5, (anchors, photos)) / 4 if seed % 2 else rng.uniform(-1, 1, (anchors, photos))
    used = negative.copy()
    for a, k in zip(*there.nonzero(), strict=True):
        used[a, positive[a, k]] = True
    distances = torch.from_numpy(np.where(used, values, math.nan)).requires_grad_()
    total, triplets, active = distances[torch.from_numpy(used)].sum() * 0, 0, 0
    for a in range(anchors):
        for p in positive[a][there[a]].tolist():
            for n in negative[a].nonzero()[0].tolist():
                d_ap, d_an = distances[a, p], distances[a, n]
                loss = of_triplet(d_ap, d_an, margin, mining)
                if loss is None:
                    continue
                total = total + (loss if hinge == "linear" else loss**2)
                triplets, active = triplets + 1, active + int(loss > 0)
    candidates = Candidates(torch.arange(anchors), *map(torch.from_numpy, (positive, there, negative)))
    found = batch_all_of(distances, candidates, margin, mining, hinge)
    assert (found.triplets.item(), found.active.item()) == (triplets, active)
    np.testing.assert_allclose(found.total.item(), total.item(), rtol=1e-12, atol=1e-12)
    assert_same_gradients(found.total, total, distances, atol=1e-12)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 1], ids=["positive", "negative"])
def test_of_some_anchors_too_a_distance_that_is_not_finite_makes_the_loss_nan(value: float, place: int) -> None:
    candidates = Candidates(*(torch.tensor(each) for each in ([0], [[0]], [[True]], [[False, True, True]])))
    distances = torch.rand(1, 3, dtype=torch.float64)
    assert torch.isfinite(batch_all_of(distances, candidates, 0.2).total)
    distances[0, place] = value
    assert batch_all_of(distances, candidates, 0.2).total.isnan()
