"""Loss `circle-classes` against a loop over photos, and against the cross-entropy of its logits."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers import assert_same_gradients
from siamesekit.components.losses.circle_classes import CircleClassesLoss

LABELS = torch.tensor([3, 1, 3, 0, 1, 3, 0])
"""Of four individuals: one is not in the batch."""


def batch(sub_centers: int, margin: float, scale: float) -> tuple[CircleClassesLoss, Tensor]:
    torch.manual_seed(0)
    loss = CircleClassesLoss(margin, scale, sub_centers, embedding_dim=3, num_classes=4).double()
    return loss, torch.randn(len(LABELS), 3, dtype=torch.float64, requires_grad=True)


def by_loop(x: Tensor, centers: Tensor, sub_centers: int, m: float, scale: float) -> Tensor:
    """Equation 6 with one positive, the weights of equation 5 as numbers."""
    total = torch.zeros((), dtype=torch.float64)
    for photo, label in zip(x, LABELS.tolist(), strict=True):
        near, far = None, 0.0
        for individual in range(4):
            own = centers[individual * sub_centers : (individual + 1) * sub_centers]
            s = max(photo @ w / (photo.norm() * w.norm()) for w in own)
            if individual == label:
                near = torch.exp(-scale * max(1 + m - float(s.detach()), 0) * (s - (1 - m)))
            else:
                far = far + torch.exp(scale * max(float(s.detach()) + m, 0) * (s - m))
        total = total + torch.log(1 + near * far)
    return total / len(x)


@pytest.mark.parametrize("sub_centers", [1, 3])
@pytest.mark.parametrize(("margin", "scale"), [(0.25, 16.0), (-0.2, 4.0)])
def test_equals_the_loop_and_its_gradients(sub_centers: int, margin: float, scale: float) -> None:
    loss, x = batch(sub_centers, margin, scale)
    value, expected = loss(x, LABELS), by_loop(x, loss.centers, sub_centers, margin, scale)
    assert value.objective.item() == pytest.approx(expected.item(), rel=1e-11)
    assert_same_gradients(value.objective, expected, [x, loss.centers], above=0.001, rtol=1e-8, atol=1e-9)


def test_is_the_cross_entropy_of_the_weighted_cosines() -> None:
    loss, x = batch(1, 0.25, 16.0)
    s = F.normalize(x.detach()) @ F.normalize(loss.centers.detach()).T
    own = F.one_hot(LABELS, 4).bool()
    logits = torch.where(own, 16 * (1.25 - s).clamp_min(0) * (s - 0.75), 16 * (s + 0.25).clamp_min(0) * (s - 0.25))
    assert loss(x, LABELS).item() == pytest.approx(F.cross_entropy(logits, LABELS).item(), rel=1e-11)


@pytest.mark.parametrize("sign", [1, -1], ids=["on its centre", "opposite"])
def test_on_and_opposite_of_a_centre_the_gradients_are_finite(sign: int) -> None:
    loss = CircleClassesLoss(embedding_dim=3, num_classes=4)
    x = (sign * loss.centers.detach()[LABELS]).requires_grad_()
    loss(x, LABELS).backward()
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(loss.centers.grad).all()


def test_one_individual_alone_has_no_loss() -> None:
    loss = CircleClassesLoss(embedding_dim=3, num_classes=1)
    assert loss(torch.randn(2, 3), torch.tensor([0, 0])).item() == 0
    assert CircleClassesLoss.by_class
    assert CircleClassesLoss.measures_by == "cosine"
