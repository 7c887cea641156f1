"""Loss `contrastive` against a loop over pairs and against pytorch-metric-learning."""

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from pytorch_metric_learning.distances import BaseDistance, LpDistance
from pytorch_metric_learning.losses import ContrastiveLoss as TheirContrastiveLoss
from pytorch_metric_learning.reducers import AvgNonZeroReducer, BaseReducer, MeanReducer
from torch import Tensor

from helpers import UNEVEN, assert_same_gradients, points
from oracles import every_pair
from siamesekit.components.distances.cosine import Cosine
from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.dot import Dot
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.distances.manhattan import Manhattan
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.losses.contrastive import ContrastiveLoss, PairHinge, Reduction, contrastive_loss
from siamesekit.components.tuples import Pairs, Triplets, all_pairs
from siamesekit.errors import ComponentError


def embeddings_of(seed: int) -> Tensor:
    return (points(seed, len(UNEVEN), 4) * 0.4).requires_grad_()


def by_loop(
    embeddings: Tensor, pairs: Pairs, hinge: str, reduction: str, distance: Distance
) -> tuple[Tensor, float, float]:
    """Objective, mean and active share, pair by pair, with the margins 0.2 and 0.9."""
    kinds = []
    for first, second, positive in ((pairs.anchor, pairs.positive, True), (pairs.other_anchor, pairs.negative, False)):
        losses = []
        for i, j in zip(first.tolist(), second.tolist(), strict=True):
            d = distance(embeddings[i], embeddings[j])
            beyond = d - 0.2 if positive else 0.9 - d
            loss = beyond if beyond > 0 else beyond * 0
            losses.append(loss if hinge == "linear" else loss * loss)
        kinds.append(losses)
    sums = [sum(losses, embeddings.sum() * 0) for losses in kinds]
    above = [sum(bool(loss > 0) for loss in losses) for losses in kinds]
    means = [total / max(len(losses), 1) for total, losses in zip(sums, kinds, strict=True)]
    objectives = {
        "sum": sums[0] + sums[1],
        "mean": means[0] + means[1],
        "mean-nonzero": sums[0] / max(above[0], 1) + sums[1] / max(above[1], 1),
    }
    return (
        objectives[reduction],
        (means[0] + means[1]).item(),
        float(sum(above) / max(len(kinds[0]) + len(kinds[1]), 1)),
    )


SOME = Pairs(*(torch.tensor(index) for index in ([0, 2, 1, 0], [5, 9, 7, 5], [0, 3, 6], [1, 5, 2])))
"""A pair twice, and a negative pair whose anchor has no positive."""


@pytest.mark.medium
@pytest.mark.parametrize("distance", [Euclidean(), SquaredEuclidean(), Cosine()], ids=lambda d: type(d).__name__)
@pytest.mark.parametrize("hinge", get_args(PairHinge))
@pytest.mark.parametrize("reduction", get_args(Reduction))
@pytest.mark.parametrize("pairs", [None, SOME, all_pairs(UNEVEN)], ids=["none given", "some", "all given"])
def test_equals_the_loop(distance: Distance, hinge: PairHinge, reduction: Reduction, pairs: Pairs | None) -> None:
    embeddings = embeddings_of(0)
    expected = by_loop(embeddings, pairs or every_pair(UNEVEN), hinge, reduction, distance)
    found = ContrastiveLoss(0.2, 0.9, hinge, reduction, distance=distance)(embeddings, UNEVEN, pairs)
    assert 0 < expected[2] < 1
    assert [figure.item() for figure in found] == pytest.approx([float(figure) for figure in expected], rel=1e-12)
    assert not found.mean.requires_grad
    assert_same_gradients(found[0], expected[0], embeddings, above=1e-3, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SquaredEuclidean, lambda: LpDistance(normalize_embeddings=False, p=2, power=2)),
        (Euclidean, lambda: LpDistance(normalize_embeddings=False, p=2, power=1)),
    ],
    ids=["squared-euclidean", "euclidean"],
)
@pytest.mark.parametrize(("reduction", "reducer"), [("mean-nonzero", AvgNonZeroReducer), ("mean", MeanReducer)])
@pytest.mark.parametrize("pairs", [None, SOME], ids=["all", "given"])
def test_value_and_gradient_equal_pytorch_metric_learning(
    ours: Callable[[], Distance],
    theirs: Callable[[], BaseDistance],
    reduction: Reduction,
    reducer: Callable[[], BaseReducer],
    pairs: Pairs | None,
) -> None:
    embeddings = embeddings_of(1)
    found = ContrastiveLoss(0.2, 0.9, reduction=reduction, distance=ours())(embeddings, UNEVEN, pairs).objective
    reference = TheirContrastiveLoss(pos_margin=0.2, neg_margin=0.9, distance=theirs(), reducer=reducer())
    expected = reference(embeddings, UNEVEN, None if pairs is None else tuple(pairs))
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    assert_same_gradients(found, expected, embeddings, above=1e-3, atol=1e-6)


def test_of_triplets_each_pair_counts_once() -> None:
    triplets = Triplets(torch.tensor([0, 0, 0]), torch.tensor([2, 2, 5]), torch.tensor([1, 3, 1]))
    pairs = Pairs(*(torch.tensor(index) for index in ([0, 0], [2, 5], [0, 0], [1, 3])))
    loss, embeddings = ContrastiveLoss(reduction="sum", hinge="squared", distance=Euclidean()), embeddings_of(2)
    assert torch.equal(loss(embeddings, UNEVEN, triplets).objective, loss(embeddings, UNEVEN, pairs).objective)


def test_on_a_line_it_is_what_the_paper_says() -> None:
    """Hadsell et al., equation 4, twice over: D² of similar pairs, max(0, m − D)² of dissimilar ones."""
    d = torch.tensor([0.0, 0.5, 1.0, 3.0])
    assert contrastive_loss(d, 0.0, "squared", positive=True).tolist() == [0, 0.25, 1, 9]
    assert contrastive_loss(d, 1.0, "squared", positive=False).tolist() == [1, 0.25, 0, 0]
    assert contrastive_loss(d, 0.5, "linear", positive=True).tolist() == [0, 0, 0.5, 2.5]


@pytest.mark.parametrize("reduction", get_args(Reduction))
@pytest.mark.parametrize(("photos", "given_"), [(3, True), (0, False), (1, False)])
def test_without_any_pair_loss_and_gradient_are_zero(reduction: Reduction, photos: int, given_: bool) -> None:
    embeddings = torch.ones(photos, 2, requires_grad=True)
    none = torch.zeros(0, dtype=torch.int64)
    pairs = Pairs(none, none, none, none) if given_ else None
    value = ContrastiveLoss(reduction=reduction, distance=Euclidean())(embeddings, torch.arange(photos), pairs)
    value.objective.backward()
    assert [figure.item() for figure in value] == [0, 0, 0]
    assert torch.equal(embeddings.grad, torch.zeros(photos, 2))


@pytest.mark.parametrize("photo", [0, 6], ids=["with positives", "alone"])
@pytest.mark.parametrize("pairs", [None, all_pairs(UNEVEN)], ids=["none given", "all given"])
def test_an_embedding_that_is_not_a_number_makes_the_loss_none(photo: int, pairs: Pairs | None) -> None:
    embeddings = embeddings_of(0).detach()
    embeddings[photo] = torch.nan
    assert ContrastiveLoss(reduction="sum", distance=SquaredEuclidean())(embeddings, UNEVEN, pairs).objective.isnan()


def test_collapsed_embeddings_have_a_finite_gradient() -> None:
    embeddings = torch.ones(10, 3, requires_grad=True)
    value = ContrastiveLoss(0.0, 0.7, distance=Euclidean())(embeddings, UNEVEN, None)
    value.objective.backward()
    assert value.objective.item() == pytest.approx(0.7)
    assert torch.isfinite(embeddings.grad).all()


def test_half_precision_embeddings_are_measured_in_float32() -> None:
    low = embeddings_of(3).detach().bfloat16()
    loss = ContrastiveLoss(distance=Euclidean())
    for pairs in (None, SOME):
        found = loss(low, UNEVEN, pairs).objective
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(loss(low.double(), UNEVEN, pairs).objective.item(), rel=1e-6)


def test_by_default_positive_pairs_are_pulled_as_near_as_the_distance_can_be() -> None:
    """Of unit embeddings `dot` is `cosine` less 1, and so are its least value and its margins."""
    embeddings = torch.nn.functional.normalize(embeddings_of(0).detach(), dim=1).requires_grad_()
    values = [
        ContrastiveLoss(negative_margin=margin, reduction="mean", distance=distance)(embeddings, UNEVEN)
        for distance, margin in ((Dot(), 0.0), (Cosine(), 1.0))
    ]
    gradients = [torch.autograd.grad(value.objective, embeddings)[0] for value in values]
    assert values[0].objective.item() == pytest.approx(values[1].objective.item(), rel=1e-12)
    directions = embeddings.detach()
    tangential = [slope - (slope * directions).sum(1, keepdim=True) * directions for slope in gradients]
    torch.testing.assert_close(tangential[0], tangential[1], rtol=1e-9, atol=1e-12)
    assert tangential[0].abs().max() > 0.01
    for distance in (Euclidean(), SquaredEuclidean(), Cosine(), Manhattan()):
        assert ContrastiveLoss(distance=distance).positive_margin == 0


def test_margins_follow_the_distance_s_range() -> None:
    assert ContrastiveLoss(-0.9, -0.5, distance=Dot()).positive_margin == -0.9
    assert ContrastiveLoss(-3.0, distance=lambda a, b: (a - b).sum(-1)).positive_margin == -3
    for distance in (Euclidean(), Cosine()):
        with pytest.raises(ComponentError, match=r"positive_margin = -0.1 is below 0, the least value of the distance"):
            ContrastiveLoss(-0.1, distance=distance)
        with pytest.raises(ComponentError, match=r"negative_margin = -0.1 is below 0"):
            ContrastiveLoss(0.0, -0.1, distance=distance)
    with pytest.raises(ComponentError, match="positive_margin = 2 affects no positive pair: the distance is at most 2"):
        ContrastiveLoss(2.0, distance=Cosine())
