"""Loss `multi-similarity` against a loop over anchors and against pytorch-metric-learning."""

import math

import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import MultiSimilarityLoss as TheirMultiSimilarityLoss
from pytorch_metric_learning.miners import MultiSimilarityMiner
from torch import Tensor

from helpers import UNEVEN, assert_same_gradients, points
from oracles import every_pair
from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.losses.multi_similarity import MultiSimilarityLoss
from siamesekit.components.tuples import Pairs, Triplets, all_pairs

SOME = Pairs(*(torch.tensor(index) for index in ([0, 2, 1, 0, 9], [5, 9, 7, 2, 0], [0, 3, 2, 1, 0], [1, 5, 6, 2, 3])))
"""Anchors without negative, without positive, and photos that are nobody's anchor."""


def embeddings_of(seed: int) -> Tensor:
    return points(seed, len(UNEVEN), 4).requires_grad_()


def by_loop(embeddings: Tensor, pairs: Pairs, distance: Distance) -> Tensor:
    """Equation 15 of the paper with alpha 2, beta 10 and base 0.4, anchor by anchor."""
    total = embeddings.sum() * 0
    for i in range(len(embeddings)):
        positives, negatives = total * 0, total * 0
        for a, p in zip(pairs.anchor.tolist(), pairs.positive.tolist(), strict=True):
            if a == i:
                positives = positives + torch.exp(-2 * (1 - distance(embeddings[a], embeddings[p]) - 0.4))
        for a, n in zip(pairs.other_anchor.tolist(), pairs.negative.tolist(), strict=True):
            if a == i:
                negatives = negatives + torch.exp(10 * (1 - distance(embeddings[a], embeddings[n]) - 0.4))
        total = total + torch.log(1 + positives) / 2 + torch.log(1 + negatives) / 10
    return total / len(embeddings)


@pytest.mark.parametrize("distance", [Euclidean(), SquaredEuclidean(), Cosine()], ids=lambda d: type(d).__name__)
@pytest.mark.parametrize(
    ("pairs", "active"), [(None, 1.0), (SOME, 0.5), (all_pairs(UNEVEN), 1.0)], ids=["none given", "some", "all given"]
)
def test_equals_the_loop(distance: Distance, pairs: Pairs | None, active: float) -> None:
    embeddings = embeddings_of(0)
    expected = by_loop(embeddings, pairs or every_pair(UNEVEN), distance)
    found = MultiSimilarityLoss(2.0, 10.0, 0.4, distance=distance)(embeddings, UNEVEN, pairs)
    assert found.objective.item() == pytest.approx(expected.item(), rel=1e-12)
    assert found.mean.item() == found.objective.item()
    assert found.active.item() == active
    assert_same_gradients(found.objective, expected, embeddings, above=0.01, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("ours", "theirs", "their_base"),
    [(Cosine(), None, 0.3), (Euclidean(), LpDistance(normalize_embeddings=False, p=2), 0.7)],
    ids=["cosine", "euclidean"],
)
@pytest.mark.parametrize("mined", [False, True], ids=["all", "mined"])
def test_value_and_gradient_equal_pytorch_metric_learning(
    ours: Distance, theirs: LpDistance | None, their_base: float, mined: bool
) -> None:
    """Of a distance their base is one, ours a similarity: 1 − distance. Their miner is the paper's other half."""
    embeddings = embeddings_of(1)
    pairs = MultiSimilarityMiner(epsilon=-0.3)(embeddings, UNEVEN) if mined else None
    found = MultiSimilarityLoss(base=0.3, distance=ours)(embeddings, UNEVEN, Pairs(*pairs) if pairs else None).objective
    expected = TheirMultiSimilarityLoss(base=their_base, distance=theirs)(embeddings, UNEVEN, pairs)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    assert_same_gradients(found, expected, embeddings, above=0.01, atol=1e-6)


def test_of_triplets_each_pair_counts_once() -> None:
    triplets = Triplets(torch.tensor([0, 0, 0]), torch.tensor([2, 2, 5]), torch.tensor([1, 3, 1]))
    pairs = Pairs(*(torch.tensor(index) for index in ([0, 0], [2, 5], [0, 0], [1, 3])))
    loss, embeddings = MultiSimilarityLoss(distance=Cosine()), embeddings_of(2)
    assert torch.equal(loss(embeddings, UNEVEN, triplets).objective, loss(embeddings, UNEVEN, pairs).objective)


def test_large_exponents_do_not_overflow() -> None:
    embeddings = torch.tensor([[0.0], [600.0], [0.0]], requires_grad=True)
    value = MultiSimilarityLoss(4.0, 5000.0, 0.5, distance=Euclidean())(embeddings, torch.tensor([0, 0, 1]), None)
    value.objective.backward()
    own, other = 600 - 0.5, 0.5  # beyond the threshold, for both; within it, for the two that lie on one another
    assert value.objective.item() == pytest.approx((2 * own + 2 * other) / 3, rel=1e-5)
    assert torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize(
    ("labels", "pairs"),
    [([], None), ([0], None), ([0, 1, 2], Pairs(*[torch.zeros(0, dtype=torch.int64)] * 4))],
    ids=["nothing", "one photo", "no pair given"],
)
def test_without_any_pair_loss_and_gradient_are_zero(labels: list[int], pairs: Pairs | None) -> None:
    embeddings = torch.ones(len(labels), 2, requires_grad=True)
    value = MultiSimilarityLoss(distance=Euclidean())(embeddings, torch.tensor(labels, dtype=torch.int64), pairs)
    value.objective.backward()
    assert [figure.item() for figure in value] == [0, 0, 0]
    assert torch.equal(embeddings.grad, torch.zeros(len(labels), 2))


def test_one_pair_on_a_line_has_the_papers_terms() -> None:
    embeddings = torch.tensor([[0.0], [0.25]], dtype=torch.float64)
    loss = MultiSimilarityLoss(2.0, 50.0, 0.5, distance=Euclidean())
    alike, different = (loss(embeddings, torch.tensor(labels), None).objective for labels in ([3, 3], [3, 4]))
    assert alike.item() == pytest.approx(math.log(1 + math.exp(-2 * (0.75 - 0.5))) / 2, rel=1e-12)
    assert different.item() == pytest.approx(math.log(1 + math.exp(50 * (0.75 - 0.5))) / 50, rel=1e-12)


def test_half_precision_embeddings_are_measured_in_float32() -> None:
    low = embeddings_of(3).detach().bfloat16()
    loss = MultiSimilarityLoss(distance=Cosine())
    for pairs in (None, SOME):
        found = loss(low, UNEVEN, pairs).objective
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(loss(low.double(), UNEVEN, pairs).objective.item(), rel=1e-5)
