"""The cross-entropy of individuals in parts is that of all individuals."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from siamesekit.components.losses.softmax_terms import losses_of_terms, softmax_terms

LABELS = torch.tensor([0, 6, 3, 3, 1])


def in_parts(logits: Tensor, counts: list[int], smoothing: float) -> Tensor:
    """The losses of `LABELS`, from the terms of parts of the columns."""
    terms, start = [], 0
    for part in logits.split(counts, dim=1):
        own = LABELS - start
        rows = ((own >= 0) & (own < part.shape[1])).nonzero()[:, 0]
        terms.append(softmax_terms(part, rows, own[rows], smoothing > 0))
        start += part.shape[1]
    return losses_of_terms(torch.stack(terms), counts, smoothing)


def drawn(size: float, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (size * torch.randn(5, 7, generator=generator, dtype=torch.float64)).to(dtype).requires_grad_()


@pytest.mark.parametrize("counts", [[7], [3, 4], [1, 5, 1], [1] * 7], ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_losses_and_gradients_are_those_of_cross_entropy(counts: list[int], smoothing: float) -> None:
    ours, theirs = drawn(5, torch.float64), drawn(5, torch.float64)
    found = in_parts(ours, counts, smoothing)
    expected = F.cross_entropy(theirs, LABELS, reduction="none", label_smoothing=smoothing)
    assert torch.allclose(found, expected, rtol=1e-13, atol=1e-13)
    factors = torch.arange(1, 6)
    (found * factors).sum().backward()
    (expected * factors).sum().backward()
    assert ours.grad is not None and theirs.grad is not None and ours.grad.abs().max() > 0.1
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("size", [3000.0, 1e-3])
def test_logits_of_any_size_give_finite_losses(size: float) -> None:
    found = in_parts(drawn(size, torch.float32), [3, 4], 0.1)
    expected = F.cross_entropy(drawn(size, torch.float32), LABELS, reduction="none", label_smoothing=0.1)
    assert torch.allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("ahead", [80.0, 14.0, 10.0])
def test_losses_near_0_are_as_exact_as_those_of_cross_entropy(ahead: float) -> None:
    """A difference of two large numbers is rounded to 4e-6, and whether a loss is 0 is reported."""
    logits = torch.full((5, 7), 64.0)
    logits[torch.arange(5), LABELS] += ahead
    found, expected = in_parts(logits, [3, 4], 0.0), F.cross_entropy(logits, LABELS, reduction="none")
    assert torch.allclose(found, expected, rtol=0, atol=2.4e-7)
    assert torch.equal(found > 0, expected > 0)
