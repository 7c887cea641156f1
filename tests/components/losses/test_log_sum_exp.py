"""Log-sum-exp of groups against Python's own floats, also where exponentials would overflow."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siamesekit.components.losses.log_sum_exp import log_one_plus_exp, log_sum_exp, log_sum_exp_by

LEAST = torch.finfo(torch.float64).min


def by_loop(values: list[float]) -> float:
    if not values:
        return LEAST
    most = max(values)
    return most + math.log(math.fsum(math.exp(value - most) for value in values))


@given(st.lists(st.tuples(st.floats(-2000, 2000), st.integers(0, 3)), max_size=12))
@settings(deadline=None)
def test_equals_the_loop(entries: list[tuple[float, int]]) -> None:
    values = torch.tensor([value for value, _ in entries], dtype=torch.float64)
    group = torch.tensor([its for _, its in entries], dtype=torch.int64)
    expected = [by_loop([value for value, its in entries if its == each]) for each in range(4)]
    np.testing.assert_allclose(log_sum_exp_by(values, group, 4), expected, rtol=1e-12, atol=1e-12)
    mask = group[None] == torch.arange(4)[:, None]
    if entries:
        np.testing.assert_allclose(log_sum_exp(values.expand(4, -1), mask, 1), expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(log_sum_exp(values[:, None].expand(-1, 4), mask.T, 0), expected, rtol=1e-12)


def test_gradients_are_right_and_those_of_nothing_are_zero() -> None:
    values = torch.tensor([0.3, -1.2, 2.0, 0.1], dtype=torch.float64, requires_grad=True)
    group = torch.tensor([2, 0, 2, 0])
    assert torch.autograd.gradcheck(lambda x: log_sum_exp_by(x, group, 3)[[0, 2]], (values,))
    mask = group[None] == torch.arange(3)[:, None]
    for found in (log_sum_exp_by(values, group, 3), log_sum_exp(values.expand(3, -1), mask, 1)):
        (gradient,) = torch.autograd.grad(log_one_plus_exp(found).sum(), values, retain_graph=True)
        for each in (0, 2):  # the chain rule: a group's softmax sums to 1
            np.testing.assert_allclose(gradient[group == each].sum(), found[each].sigmoid().item(), rtol=1e-12)
        (gradient,) = torch.autograd.grad(log_one_plus_exp(found[1]), values)
        assert gradient.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("value", [-800.0, -40.0, 0.0, 19.0, 21.0, 30.0, 39.0, 41.0, 800.0])
def test_log_one_plus_exp_is_right_to_the_last_digits(value: float) -> None:
    x = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    found = log_one_plus_exp(x)
    found.backward()
    expected = value + math.log1p(math.exp(-value)) if value > 0 else math.log1p(math.exp(value))
    assert found.item() == pytest.approx(expected, rel=1e-15, abs=0)
    assert x.grad.item() == pytest.approx(1 / (1 + math.exp(-value)) if value > -700 else 0, rel=1e-15, abs=0)
