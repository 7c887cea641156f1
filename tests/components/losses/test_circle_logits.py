"""Logits of circle loss by the formula, pair by pair; no gradient flows through the weights."""

import pytest
import torch

from siamesekit.components.losses.circle_logits import negative_logits, positive_logits


@pytest.mark.parametrize("margin", [-0.9, 0.25, 0.4])
@pytest.mark.parametrize("s", [-1.0, -0.7, 0.2, 1.0])
def test_each_logit_and_its_slope_are_those_of_the_formula(s: float, margin: float) -> None:
    cosine = torch.tensor(s, dtype=torch.float64, requires_grad=True)
    near, far = positive_logits(cosine, margin, 10.0), negative_logits(cosine, margin, 10.0)
    of_near, of_far = max(1 + margin - s, 0.0), max(s + margin, 0.0)
    assert near.item() == pytest.approx(-10 * of_near * (s - (1 - margin)), abs=1e-12)
    assert far.item() == pytest.approx(10 * of_far * (s - margin), abs=1e-12)
    assert torch.autograd.grad(near, cosine)[0].item() == pytest.approx(-10 * of_near, abs=1e-12)
    assert torch.autograd.grad(far, cosine)[0].item() == pytest.approx(10 * of_far, abs=1e-12)
