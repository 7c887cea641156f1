"""Loss `info-nce` against a loop over positive pairs and against pytorch-metric-learning."""

import math

import numpy as np
import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import NTXentLoss
from torch import Tensor

from helpers import UNEVEN, assert_same_gradients, points
from oracles import every_pair, info_nce_losses
from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.losses.info_nce import InfoNCELoss, info_nce
from siamesekit.components.tuples import Pairs, Triplets, all_pairs

SOME = Pairs(*(torch.tensor(index) for index in ([0, 2, 1, 0, 9], [5, 9, 7, 5, 0], [0, 3, 2, 1, 0], [1, 5, 6, 2, 3])))
"""A positive pair twice, one whose anchor has no negative, and a negative pair whose anchor has no positive."""


def embeddings_of(seed: int) -> Tensor:
    return points(seed, len(UNEVEN), 4).requires_grad_()


@pytest.mark.parametrize("distance", [Euclidean(), SquaredEuclidean(), Cosine()], ids=lambda d: type(d).__name__)
@pytest.mark.parametrize("pairs", [None, SOME, all_pairs(UNEVEN)], ids=["none given", "some", "all given"])
def test_equals_the_loop(distance: Distance, pairs: Pairs | None) -> None:
    embeddings = embeddings_of(0)
    losses = info_nce_losses(embeddings, pairs or every_pair(UNEVEN), 0.3, distance)
    expected = sum(losses) / len(losses)
    found = InfoNCELoss(0.3, distance=distance)(embeddings, UNEVEN, pairs)
    assert found.objective.item() == pytest.approx(expected.item(), rel=1e-12)
    assert found.mean.item() == found.objective.item()
    assert found.active.item() == sum(bool(loss > 0) for loss in losses) / len(losses)
    assert_same_gradients(found.objective, expected, embeddings, above=0.01, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(Cosine(), None), (Euclidean(), LpDistance(normalize_embeddings=False, p=2))],
    ids=["cosine", "euclidean"],
)
@pytest.mark.parametrize("pairs", [None, SOME], ids=["all", "given"])
def test_value_and_gradient_equal_pytorch_metric_learning(
    ours: Distance, theirs: LpDistance | None, pairs: Pairs | None
) -> None:
    embeddings = embeddings_of(1)
    found = InfoNCELoss(0.07, distance=ours)(embeddings, UNEVEN, pairs).objective
    reference = NTXentLoss(temperature=0.07, distance=theirs)
    expected = reference(embeddings, UNEVEN, None if pairs is None else tuple(pairs))
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    assert_same_gradients(found, expected, embeddings, above=0.01, atol=1e-6)


def test_with_a_pair_of_each_individual_it_is_cross_entropy_as_of_n_pairs() -> None:
    """Sohn 2016, equation 6, with −d/T for the dot product: the positive among the photos of others."""
    embeddings, labels = embeddings_of(2)[:6], torch.tensor([0, 0, 1, 1, 2, 2])
    logits = -(embeddings[:, None] - embeddings).square().sum(2) / 0.5
    expected = 0.0
    for a, p in ((0, 1), (1, 0), (2, 3), (3, 2), (4, 5), (5, 4)):
        columns = [p, *(n for n in range(6) if labels[n] != labels[a])]
        expected += torch.nn.functional.cross_entropy(logits[a, columns], torch.tensor(0)).item() / 6
    found = InfoNCELoss(0.5, distance=SquaredEuclidean())(embeddings, labels, None).objective
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_of_triplets_each_pair_counts_once() -> None:
    triplets = Triplets(torch.tensor([0, 0, 0]), torch.tensor([2, 2, 5]), torch.tensor([1, 3, 1]))
    pairs = Pairs(*(torch.tensor(index) for index in ([0, 0], [2, 5], [0, 0], [1, 3])))
    loss, embeddings = InfoNCELoss(distance=Cosine()), embeddings_of(2)
    assert torch.equal(loss(embeddings, UNEVEN, triplets).objective, loss(embeddings, UNEVEN, pairs).objective)


def test_far_negatives_and_far_positives_neither_vanish_nor_overflow() -> None:
    positive, negatives = torch.tensor([-1e6, 0.0, -5.0]), torch.tensor([0.0, -1e6, -5.0])
    np.testing.assert_allclose(info_nce(positive, negatives), [1e6, 0, math.log(2)], rtol=1e-6)
    embeddings = torch.tensor([[0.0], [1000.0], [0.001], [5000.0]], requires_grad=True)
    value = InfoNCELoss(0.001, distance=Euclidean())(embeddings, torch.tensor([0, 0, 1, 1]), None)
    value.objective.backward()
    # the anchor at 1000 has its nearest negative at 0.001, that at 5000 at 1000
    assert value.objective.item() == pytest.approx((999_999 + 1 + 4_999_998 + 999_999) / 4, rel=1e-5)
    assert torch.isfinite(embeddings.grad).all()
    assert embeddings.grad.abs().max() > 100


@pytest.mark.parametrize(
    ("labels", "pairs"),
    [
        ([], None),
        ([0], None),
        ([0, 1, 2], None),
        ([0, 0, 0], None),
        ([0, 1, 2], Pairs(*[torch.zeros(0, dtype=torch.int64)] * 4)),
    ],
    ids=["nothing", "one photo", "no positive", "no negative", "no pair given"],
)
def test_without_positives_or_without_negatives_loss_and_gradient_are_zero(
    labels: list[int], pairs: Pairs | None
) -> None:
    embeddings = torch.ones(len(labels), 2, requires_grad=True)
    value = InfoNCELoss(distance=Euclidean())(embeddings, torch.tensor(labels, dtype=torch.int64), pairs)
    value.objective.backward()
    assert [figure.item() for figure in value] == [0, 0, 0]
    assert torch.equal(embeddings.grad, torch.zeros(len(labels), 2))


def test_half_precision_embeddings_are_measured_in_float32() -> None:
    low = embeddings_of(3).detach().bfloat16()
    loss = InfoNCELoss(distance=Cosine())
    for pairs in (None, SOME):
        found = loss(low, UNEVEN, pairs).objective
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(loss(low.double(), UNEVEN, pairs).objective.item(), rel=1e-5)
