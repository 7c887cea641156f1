"""Loss `arcface` against a loop by angles and against pytorch-metric-learning."""

import math

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import ArcFaceLoss as TheirArcFaceLoss
from pytorch_metric_learning.losses import SubCenterArcFaceLoss
from torch import Tensor

from helpers import assert_same_gradients
from siamesekit.components.losses.arcface import ArcFaceLoss, with_margin

LABELS = torch.tensor([3, 1, 3, 0, 1, 3, 0])
"""Of four individuals: one is not in the batch."""


def batch(sub_centers: int = 1, margin: float = 0.5, seed: int = 0) -> tuple[ArcFaceLoss, Tensor]:
    """The loss of four individuals in float64, and a batch."""
    torch.manual_seed(seed)
    loss = ArcFaceLoss(margin, 8.0, sub_centers, embedding_dim=3, num_classes=4).double()
    return loss, torch.randn(len(LABELS), 3, dtype=torch.float64, requires_grad=True)


def by_loop(embeddings: Tensor, centers: Tensor, sub_centers: int, margin: float) -> Tensor:
    """Equation 3 of the paper, with the scale 8, by the angles themselves."""
    total = 0.0
    for x, label in zip(embeddings, LABELS.tolist(), strict=True):
        logits = []
        for individual in range(4):
            own = centers[individual * sub_centers : (individual + 1) * sub_centers]
            angle = min(torch.acos((x @ w) / (x.norm() * w.norm())) for w in own)
            if individual != label:
                logits.append(8 * torch.cos(angle))
            elif angle + margin <= math.pi:
                logits.append(8 * torch.cos(angle + margin))
            else:
                logits.append(8 * (torch.cos(angle) - margin * math.sin(margin)))
        total = total - torch.log(torch.exp(logits[label]) / sum(torch.exp(logit) for logit in logits))
    return total / len(embeddings)


@pytest.mark.parametrize("sub_centers", [1, 3])
@pytest.mark.parametrize("margin", [0.0, 0.5, 2.0])
def test_equals_the_loop_and_its_gradients(sub_centers: int, margin: float) -> None:
    loss, embeddings = batch(sub_centers, margin)
    value, expected = loss(embeddings, LABELS, None), by_loop(embeddings, loss.centers, sub_centers, margin)
    assert value.objective.item() == pytest.approx(expected.item(), rel=1e-12)
    assert value.mean.item() == value.objective.item()
    assert value.active.item() == 1
    assert_same_gradients(value.objective, expected, [embeddings, loss.centers], above=0.01, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("sub_centers", [1, 3])
def test_equals_pytorch_metric_learning(sub_centers: int) -> None:
    loss, embeddings = batch(sub_centers, seed=1)
    options = {"num_classes": 4, "embedding_size": 3, "margin": math.degrees(0.5), "scale": 8}
    reference = TheirArcFaceLoss(**options) if sub_centers == 1 else SubCenterArcFaceLoss(**options, sub_centers=3)
    reference.W.data = loss.centers.detach().T.clone()
    found, expected = loss(embeddings, LABELS, None).objective, reference(embeddings, LABELS)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    ours = torch.autograd.grad(found, [embeddings, loss.centers])
    theirs = torch.autograd.grad(expected, [embeddings, reference.W])
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-6)
    np.testing.assert_allclose(ours[1], theirs[1].T, atol=1e-6)


@pytest.mark.parametrize("margin", [0.0, 0.5, 1.5, 3.0])
def test_the_margin_always_lowers_and_never_turns_back(margin: float) -> None:
    angle = torch.linspace(0, math.pi, 1001, dtype=torch.float64)
    found = with_margin(angle.cos(), margin)
    below = angle <= math.pi - margin
    np.testing.assert_allclose(found[below], (angle[below] + margin).cos(), atol=1e-7)  # sin 0 of a rounded cosine
    assert (found <= angle.cos() + 1e-12).all()
    assert (found[below].diff() <= 0).all()
    assert (found[~below].diff() <= 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sign", [1, -1], ids=["on its centre", "opposite"])
def test_where_the_angle_has_no_derivative_the_gradient_is_finite(dtype: torch.dtype, sign: int) -> None:
    loss = ArcFaceLoss(embedding_dim=3, num_classes=4)
    embeddings = (sign * loss.centers.detach()[LABELS].to(dtype)).requires_grad_()
    value = loss(embeddings, LABELS, None)
    value.objective.backward()
    assert value.objective.dtype == dtype
    assert torch.isfinite(value.objective)
    assert torch.isfinite(embeddings.grad).all()
    assert torch.isfinite(loss.centers.grad).all()
    cosine = torch.tensor([1.0, -1.0, 1.0 + 2e-7], dtype=dtype, requires_grad=True)
    with_margin(cosine, 0.5).sum().backward()
    assert torch.isfinite(cosine.grad).all()


def test_centers_begin_at_about_length_one_from_the_seeded_generator() -> None:
    torch.manual_seed(5)
    first = ArcFaceLoss(sub_centers=2, embedding_dim=400, num_classes=50).centers
    torch.manual_seed(5)
    assert torch.equal(first, ArcFaceLoss(sub_centers=2, embedding_dim=400, num_classes=50).centers)
    assert first.shape == (100, 400)
    np.testing.assert_allclose(first.detach().norm(dim=1), 1, atol=0.2)


def test_half_precision_embeddings_are_measured_in_float32() -> None:
    low = batch()[1].detach().bfloat16()
    loss = ArcFaceLoss(embedding_dim=3, num_classes=4)
    found = loss(low, LABELS, None).objective
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(loss(low.double(), LABELS, None).objective.item(), rel=1e-5)


def test_what_it_cannot_be_combined_with() -> None:
    assert ArcFaceLoss.by_class
    assert ArcFaceLoss.measures_by == "cosine"
