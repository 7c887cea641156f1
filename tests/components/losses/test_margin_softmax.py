"""Margins by class size, label smoothing and sub-centres of `arcface` and `cosface` against loops over photos."""

import itertools
import math

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import CosFaceLoss as TheirCosFaceLoss
from torch import Tensor

from helpers import assert_same_gradients
from siamesekit.components.losses.arcface import ArcFaceLoss
from siamesekit.components.losses.cosface import CosFaceLoss
from siamesekit.components.losses.softmax_terms import losses_of_terms

LABELS = torch.tensor([3, 1, 3, 0, 1, 3, 0])
"""Of four individuals: one is not in the batch."""
COUNTS = [2, 5, 40, 9]
MARGIN, SMALLEST, SCALE = 0.5, 0.1, 8.0


def margin_of(individual: int, by_size: bool) -> float:
    """The margin of an individual, by the powers of COUNTS."""
    if not by_size:
        return MARGIN
    powers = [count**-0.25 for count in COUNTS]
    share = (powers[individual] - min(powers)) / (max(powers) - min(powers))
    return SMALLEST + (MARGIN - SMALLEST) * share


def by_loop(
    kind: type, embeddings: Tensor, centers: Tensor, sub_centers: int, by_size: bool, smoothing: float
) -> Tensor:
    """The mean cross-entropy with smoothed targets, by the angles themselves."""
    total = torch.zeros((), dtype=torch.float64)
    for x, label in zip(embeddings, LABELS.tolist(), strict=True):
        logits = []
        for individual in range(4):
            own = centers[individual * sub_centers : (individual + 1) * sub_centers]
            cosine = max(x @ w / (x.norm() * w.norm()) for w in own)
            margin = margin_of(individual, by_size)
            if individual == label and kind is CosFaceLoss:
                cosine = cosine - margin
            elif individual == label and torch.acos(cosine) + margin <= math.pi:
                cosine = torch.cos(torch.acos(cosine) + margin)
            elif individual == label:
                cosine = cosine - margin * math.sin(margin)
            logits.append(SCALE * cosine)
        whole = torch.log(sum(torch.exp(logit) for logit in logits))
        for individual, logit in enumerate(logits):
            target = smoothing / 4 + (1 - smoothing) * (individual == label)
            total = total - target * (logit - whole)
    return total / len(embeddings)


@pytest.mark.parametrize("kind", [ArcFaceLoss, CosFaceLoss])
@pytest.mark.parametrize(
    ("sub_centers", "by_size", "smoothing"), [*itertools.product([1, 3], [False, True], [0.0, 0.2])]
)
def test_equals_the_loop_and_its_gradients(kind: type, sub_centers: int, by_size: bool, smoothing: float) -> None:
    torch.manual_seed(0)
    smallest = SMALLEST if by_size else None
    loss = kind(
        MARGIN, SCALE, sub_centers, smallest, smoothing, embedding_dim=3, num_classes=4, class_counts=COUNTS
    ).double()
    embeddings = torch.randn(len(LABELS), 3, dtype=torch.float64, requires_grad=True)
    value = loss(embeddings, LABELS, None)
    expected = by_loop(kind, embeddings, loss.centers, sub_centers, by_size, smoothing)
    assert value.objective.item() == pytest.approx(expected.item(), rel=1e-12)
    assert value.mean.item() == value.objective.item()
    assert_same_gradients(value.objective, expected, [embeddings, loss.centers], above=0.01, rtol=1e-9, atol=1e-10)


def test_cosface_equals_pytorch_metric_learning() -> None:
    torch.manual_seed(1)
    loss = CosFaceLoss(0.3, 8.0, embedding_dim=3, num_classes=4).double()
    reference = TheirCosFaceLoss(num_classes=4, embedding_size=3, margin=0.3, scale=8)
    reference.W.data = loss.centers.detach().T.clone()
    embeddings = torch.randn(len(LABELS), 3, dtype=torch.float64, requires_grad=True)
    found, expected = loss(embeddings, LABELS, None).objective, reference(embeddings, LABELS)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    ours = torch.autograd.grad(found, [embeddings, loss.centers])
    theirs = torch.autograd.grad(expected, [embeddings, reference.W])
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-6)
    np.testing.assert_allclose(ours[1], theirs[1].T, atol=1e-6)


@pytest.mark.parametrize("kind", [ArcFaceLoss, CosFaceLoss])
@pytest.mark.parametrize("sign", [1, -1], ids=["on its centre", "opposite"])
def test_on_and_opposite_of_a_centre_the_gradients_are_finite(kind: type, sign: int) -> None:
    loss = kind(smallest_margin=0.1, smoothing=0.1, embedding_dim=3, num_classes=4, class_counts=COUNTS)
    embeddings = (sign * loss.centers.detach()[LABELS]).requires_grad_()
    value = loss(embeddings, LABELS, None)
    value.objective.backward()
    assert torch.isfinite(value.objective)
    assert torch.isfinite(embeddings.grad).all()
    assert torch.isfinite(loss.centers.grad).all()


@pytest.mark.parametrize("kind", [ArcFaceLoss, CosFaceLoss])
def test_margins_are_no_state_so_that_earlier_checkpoints_load(kind: type) -> None:
    loss = kind(smallest_margin=0.1, embedding_dim=3, num_classes=4, class_counts=COUNTS)
    assert [*loss.state_dict()] == ["centers"]
    assert loss.to(torch.float32).margins.dtype == torch.float32


def test_cosface_measures_by_the_cosine_and_by_class() -> None:
    assert CosFaceLoss.by_class
    assert CosFaceLoss.measures_by == "cosine"


@pytest.mark.parametrize("kind", [ArcFaceLoss, CosFaceLoss])
@pytest.mark.parametrize("by_size", [False, True])
def test_a_loss_of_some_individuals_gives_their_terms(kind: type, by_size: bool) -> None:
    """Two losses that hold two individuals each, of which each knows nothing of the other's."""
    torch.manual_seed(2)
    whole, *parts = (
        kind(
            MARGIN, SCALE, 3, SMALLEST if by_size else None, 0.2, embedding_dim=3, num_classes=4, class_counts=COUNTS
        ).double()
        for _ in range(3)
    )
    embeddings, terms = torch.randn(len(LABELS), 3, dtype=torch.float64), []
    for number, part in enumerate(parts):
        margins = None if whole.margins is None else whole.margins[2 * number : 2 * number + 2]
        part.hold(whole.centers.detach()[6 * number : 6 * number + 6].clone(), margins)
        terms.append(part.terms(embeddings, LABELS - 2 * number))
    found, expected = losses_of_terms(torch.stack(terms), [2, 2], 0.2).mean(), whole(embeddings, LABELS).objective
    found.backward()
    expected.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    assert torch.allclose(torch.cat([part.centers.grad for part in parts]), whole.centers.grad, rtol=1e-10, atol=1e-12)
