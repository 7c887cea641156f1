"""The mean of terms' losses, with and without terms; and a loss's value wherever a tensor is wanted."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from siamesekit import ContrastiveLoss, LossValue, TripletLoss
from siamesekit.components.losses.loss import loss_value, mean_of
from siamesekit.errors import ComponentError

LABELS = torch.arange(4).repeat_interleave(2)


def test_mean_and_share_above_zero() -> None:
    losses = torch.tensor([0.0, 1.0, 5.0, 0.0], requires_grad=True)
    value = mean_of(losses)
    value.objective.backward()
    assert [figure.item() for figure in value] == [1.5, 1.5, 0.5]
    assert losses.grad.tolist() == [0.25] * 4
    assert not value.mean.requires_grad
    assert not value.active.requires_grad


def test_no_terms_have_loss_and_gradient_zero() -> None:
    embeddings = torch.ones(3, 2, requires_grad=True)
    value = mean_of(embeddings.sum(1)[:0])
    value.objective.backward()
    assert [figure.item() for figure in value] == [0, 0, 0]
    assert torch.equal(embeddings.grad, torch.zeros(3, 2))


def two_losses() -> tuple[nn.Parameter, LossValue, LossValue]:
    torch.manual_seed(0)
    embeddings = nn.Parameter(torch.randn(8, 3, dtype=torch.float64))
    return embeddings, TripletLoss(0.4, distance="cosine")(embeddings, LABELS), ContrastiveLoss()(embeddings, LABELS)


USES: dict[str, Callable[[Any, Any], Any]] = {
    "sum of two": operator.add,
    "difference": operator.sub,
    "product": operator.mul,
    "quotient": operator.truediv,
    "power": lambda one, other: one**2 + 2**other if isinstance(other, Tensor) else one**2 + torch.tensor(2.0) ** other,
    "weighted": lambda one, other: 0.5 * one + other / 3 - 1,
    "number first": lambda one, other: 1 - one + 2 / other,
    "tensor first": lambda one, other: torch.tensor(2.0) * one + torch.ones(()) / other - torch.ones(()),
    "tensor last": lambda one, other: one * torch.tensor(2.0) - torch.tensor([1.0, 3.0]) * other,
    "number of NumPy first": lambda one, other: np.float64(0.25) * one + np.float32(2) + other,
    "negated": lambda one, other: -one - +other + abs(-one),
    "built-in sum": lambda one, other: sum([one, other, one]),
    "stacked": lambda one, other: torch.stack([one, other]).square().mean(),
    "a function of PyTorch": lambda one, other: torch.logaddexp(one, other),
    "by keyword": lambda one, other: torch.add(input=one, other=other, alpha=3),
    "chosen": lambda one, other: torch.where(one > other, one, other),
    "added in place to a tensor": lambda one, other: torch.zeros((), dtype=torch.float64).add_(one) + other,
}


@pytest.mark.parametrize("use", USES)
def test_arithmetic_gives_what_the_objectives_give_with_their_gradient(use: str) -> None:
    embeddings, one, other = two_losses()
    found, expected = USES[use](one, other), USES[use](one.objective, other.objective)
    assert type(found) is Tensor
    assert torch.equal(found, expected)
    gradients = [torch.autograd.grad(value.sum(), embeddings, retain_graph=True)[0] for value in (found, expected)]
    assert torch.equal(*gradients)
    assert gradients[0].abs().max() > 0


def test_backward_is_the_objective_s() -> None:
    embeddings, one, _ = two_losses()
    [expected] = torch.autograd.grad(one.objective, embeddings, retain_graph=True)
    [by_function] = torch.autograd.grad(one, embeddings, retain_graph=True)
    one.backward(retain_graph=True)
    assert torch.equal(embeddings.grad, expected)
    one.backward()
    assert torch.equal(embeddings.grad, 2 * expected)
    assert torch.equal(by_function, expected)


def test_it_is_a_number_as_a_scalar_tensor_is() -> None:
    _, one, other = two_losses()
    number = one.objective.item()
    assert (one.item(), float(one)) == (number, number)
    assert (f"{one:.3f}", f"{one:>10.2e}") == (f"{number:.3f}", f"{number:>10.2e}")
    assert str(one) == f"{one}" == repr(one)
    assert repr(one).startswith("LossValue(objective=tensor(")
    for compare in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
        for right in (other, other.objective, 0.3, torch.tensor(0.3)):
            assert compare(one, right) == compare(one.objective, getattr(right, "objective", right))
    assert bool(one)
    assert not LossValue(*torch.zeros(3))
    assert not one.detach().requires_grad
    assert (one.requires_grad, one.device, one.dtype, one.shape) == (True, torch.device("cpu"), torch.float64, ())
    assert one.grad_fn is one.objective.grad_fn


def test_its_parts_are_unpacked_and_fixed_and_it_is_copied_and_pickled() -> None:
    value = LossValue(*torch.tensor([3.0, 2.0, 0.5]))
    objective, mean, active = value
    assert [value[place] for place in range(3)] == [*value]
    assert (objective, mean, active) == (3.0, 2.0, 0.5)
    with pytest.raises(AttributeError):
        value.mean = mean
    for again in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert [*again] == [3.0, 2.0, 0.5]
    assert len({value, value, copy.copy(value)}) == 2


def test_a_plain_scalar_is_a_loss_whose_terms_are_not_known() -> None:
    weight = nn.Parameter(torch.tensor(2.0))
    value = loss_value(weight**2)
    assert value.mean == 4
    assert not value.mean.requires_grad
    assert value.active.isnan()
    value.backward()
    assert weight.grad == 4
    assert loss_value(value) is value


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (torch.zeros(8), r"a tensor float32 \[8\]"),
        (torch.tensor(3), r"a tensor int64 \[\]"),
        (1.5, r"1\.5"),
        (None, "None"),
        ((torch.zeros(()),), "a tuple"),
    ],
)
def test_what_is_no_loss_is_refused_in_words(wrong: Any, expected: str) -> None:
    with pytest.raises(ComponentError, match=f"the loss gives {expected}; expected LossValue"):
        loss_value(wrong)
