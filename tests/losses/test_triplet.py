"""Loss `triplet` against a plain loop and against pytorch-metric-learning."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.distances import BaseDistance, LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.reducers import BaseReducer, MeanReducer, SumReducer
from torch import Tensor

from siamesekit.distances.euclidean import Euclidean
from siamesekit.distances.squared_euclidean import SquaredEuclidean
from siamesekit.losses.triplet import Reduction, Triplet, triplet_loss
from siamesekit.triplets import Triplets


def case(seed: int, photos: int = 12, triplets: int = 20) -> tuple[Tensor, Tensor, Triplets]:
    """Embeddings, labels of three individuals, and random valid triplets."""
    rng = np.random.default_rng(seed)
    labels = np.arange(photos) % 3
    chosen = []
    while len(chosen) < triplets:
        a, p, n = rng.integers(photos, size=3)
        if a != p and labels[a] == labels[p] != labels[n]:
            chosen.append((a, p, n))
    embeddings = torch.from_numpy(rng.normal(size=(photos, 4))).requires_grad_()
    return embeddings, torch.from_numpy(labels), Triplets(*torch.tensor(np.array(chosen)).T)


def by_loop(embeddings: Tensor, triplets: Triplets, margin: float) -> list[float]:
    """The losses of triplets by squared Euclidean distance, in plain Python."""
    rows = embeddings.tolist()

    def squared(i: int, j: int) -> float:
        return sum((x - y) ** 2 for x, y in zip(rows[i], rows[j], strict=True))

    return [
        max(squared(a, p) - squared(a, n) + margin, 0.0)
        for a, p, n in zip(*(index.tolist() for index in triplets), strict=True)
    ]


@given(st.integers(0, 10_000), st.floats(0, 5))
@settings(deadline=None)
def test_equals_the_loop(seed: int, margin: float) -> None:
    embeddings, labels, triplets = case(seed)
    expected = by_loop(embeddings, triplets, margin)
    summed = Triplet(margin, "sum", distance=SquaredEuclidean())(embeddings, labels, triplets)
    mean = Triplet(margin, "mean", distance=SquaredEuclidean())(embeddings, labels, triplets)
    np.testing.assert_allclose(summed.elements.detach(), expected, atol=1e-12)
    np.testing.assert_allclose(summed.objective.item(), sum(expected), rtol=1e-12)
    np.testing.assert_allclose(mean.objective.item(), sum(expected) / 20, rtol=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SquaredEuclidean, lambda: LpDistance(normalize_embeddings=False, p=2, power=2)),
        (Euclidean, lambda: LpDistance(normalize_embeddings=False, p=2, power=1)),
    ],
    ids=["squared-euclidean", "euclidean"],
)
@pytest.mark.parametrize(("reduction", "reducer"), [("sum", SumReducer), ("mean", MeanReducer)])
def test_value_and_gradient_equal_pytorch_metric_learning(
    ours: Callable[[], SquaredEuclidean | Euclidean],
    theirs: Callable[[], BaseDistance],
    reduction: Reduction,
    reducer: Callable[[], BaseReducer],
) -> None:
    embeddings, labels, triplets = case(1)
    objective = Triplet(0.7, reduction, distance=ours())(embeddings, labels, triplets).objective
    reference = TripletMarginLoss(margin=0.7, distance=theirs(), reducer=reducer())
    expected = reference(embeddings, labels, indices_tuple=tuple(triplets))
    assert objective.item() == pytest.approx(expected.item(), rel=1e-12)
    (gradient,) = torch.autograd.grad(objective, embeddings)
    (expected_gradient,) = torch.autograd.grad(expected, embeddings)
    assert gradient.abs().max() > 0.01
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-12)


def test_gradient_is_right_numerically() -> None:
    embeddings, labels, triplets = case(2)
    loss = Triplet(1.0, "sum", distance=SquaredEuclidean())
    assert torch.autograd.gradcheck(lambda e: loss(e, labels, triplets).objective, (embeddings,))


def test_a_triplet_beyond_the_margin_costs_nothing_and_moves_nothing() -> None:
    d_ap = torch.tensor([0.2, 0.2, 0.2], requires_grad=True)
    losses = triplet_loss(d_ap, torch.tensor([1.3, 1.1, 0.2]), margin=1.0)
    losses.sum().backward()
    np.testing.assert_allclose(losses.detach(), [0, 0.1, 1.0], atol=1e-6)
    assert d_ap.grad.tolist() == [0, 1, 1]
