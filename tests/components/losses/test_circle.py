"""Loss `circle` against a loop over pairs and against pytorch-metric-learning."""

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import CircleLoss as TheirCircleLoss
from torch import Tensor

from helpers import assert_same_gradients
from siamesekit.components.losses.circle import CircleLoss
from siamesekit.components.tuples import Pairs, Triplets

LABELS = torch.tensor([0, 1, 0, 2, 1, 0, 3])
"""The last photo but one of individual 2, and that of 3, have no positive."""


def batch(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(LABELS), 3, dtype=torch.float64, generator=generator).requires_grad_()


def by_loop(
    x: Tensor, positives: set[tuple[int, int]], negatives: set[tuple[int, int]], m: float, scale: float
) -> Tensor:
    """Equation 6 of the paper for each photo, with the weights of equation 5 as numbers; the mean over the photos."""
    losses = []
    for anchor in range(len(x)):
        own, other = (
            [x[anchor] @ x[j] / (x[anchor].norm() * x[j].norm()) for i, j in sorted(pairs) if i == anchor]
            for pairs in (positives, negatives)
        )
        if own and other:
            near = sum(torch.exp(-scale * max(1 + m - float(s.detach()), 0) * (s - (1 - m))) for s in own)
            far = sum(torch.exp(scale * max(float(s.detach()) + m, 0) * (s - m)) for s in other)
            losses.append(torch.log(1 + near * far))
    return sum(losses) / len(losses)


def all_pairs() -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    numbers = range(len(LABELS))
    ordered = [(i, j) for i in numbers for j in numbers if i != j]
    return {p for p in ordered if LABELS[p[0]] == LABELS[p[1]]}, {p for p in ordered if LABELS[p[0]] != LABELS[p[1]]}


@pytest.mark.parametrize(("margin", "scale"), [(0.4, 8.0), (0.25, 32.0), (-0.3, 4.0)])
def test_equals_the_loop_over_all_pairs_and_its_gradients(margin: float, scale: float) -> None:
    x = batch()
    value = CircleLoss(margin, scale)(x, LABELS)
    expected = by_loop(x, *all_pairs(), margin, scale)
    assert value.objective.item() == pytest.approx(expected.item(), rel=1e-11)
    assert value.active.item() == 1
    assert_same_gradients(value.objective, expected, [x], above=0.001, rtol=1e-8, atol=1e-9)


def test_equals_the_loop_over_given_pairs_and_triplets() -> None:
    x = batch(1)
    pairs = Pairs(*(torch.tensor(index) for index in ([0, 2, 1], [2, 5, 4], [0, 0, 1, 3], [1, 3, 6, 0])))
    positives, negatives = {(0, 2), (2, 5), (1, 4)}, {(0, 1), (0, 3), (1, 6), (3, 0)}
    value, expected = CircleLoss(0.4, 8.0)(x, LABELS, pairs), by_loop(x, positives, negatives, 0.4, 8.0)
    assert value.objective.item() == pytest.approx(expected.item(), rel=1e-11)
    assert_same_gradients(value.objective, expected, [x], above=0.001, rtol=1e-8, atol=1e-9)
    triplets = Triplets(torch.tensor([0, 0, 1]), torch.tensor([2, 2, 4]), torch.tensor([1, 3, 6]))
    expected = by_loop(x, {(0, 2), (1, 4)}, {(0, 1), (0, 3), (1, 6)}, 0.4, 8.0)
    assert CircleLoss(0.4, 8.0)(x, LABELS, triplets).objective.item() == pytest.approx(expected.item(), rel=1e-11)


def test_equals_pytorch_metric_learning() -> None:
    x = batch(2)
    found, expected = CircleLoss(0.4, 20.0)(x, LABELS).objective, TheirCircleLoss(m=0.4, gamma=20)(x, LABELS)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    ours, theirs = (torch.autograd.grad(value, x)[0] for value in (found, expected))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_all_pairs_are_the_same_listed_or_not() -> None:
    x, (positives, negatives) = batch(3), all_pairs()
    index = [torch.tensor(each) for pairs in (positives, negatives) for each in zip(*sorted(pairs), strict=True)]
    one, other = CircleLoss()(x, LABELS).objective, CircleLoss()(x, LABELS, Pairs(*index)).objective
    assert one.item() == pytest.approx(other.item(), rel=1e-10)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]], ids=["no negative", "no positive"])
def test_without_a_photo_that_has_both_the_loss_and_its_gradient_are_zero(labels: list[int]) -> None:
    x = torch.randn(3, 4, requires_grad=True)
    value = CircleLoss()(x, torch.tensor(labels))
    value.backward()
    assert value.item() == 0
    assert torch.equal(x.grad, torch.zeros(3, 4))


def test_equal_and_opposite_embeddings_at_a_large_scale_have_finite_gradients() -> None:
    x = torch.tensor([[1.0, 0], [1, 0], [-1, 0], [1, 0]], requires_grad=True)
    value = CircleLoss(scale=1000.0)(x, torch.tensor([0, 0, 0, 1]))
    value.backward()
    assert torch.isfinite(value.objective)
    assert torch.isfinite(x.grad).all()


def test_it_measures_by_the_cosine() -> None:
    assert CircleLoss.measures_by == "cosine"
