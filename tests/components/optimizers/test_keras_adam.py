"""Optimizer `keras-adam` against Keras's update rule, written out in NumPy."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from siamesekit.components.optimizers.keras_adam import KerasAdam, equivalent_eps, keras_adam

Floats = NDArray[np.float64]


def gradients(seed: int, steps: int = 20) -> Floats:
    """Gradients that do not depend on the weights, `[steps, 3, 2]`, of very different sizes."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(steps, 3, 2)) * 10.0 ** rng.uniform(-4, 1, size=(1, 3, 2))


def keras(start: Floats, grads: Floats, lr: float, beta1: float, beta2: float, epsilon: float) -> Floats:
    """Keras 3's Adam: θ ← θ − lr · √(1−β₂ᵗ)/(1−β₁ᵗ) · m / (√v + ε̂)."""
    theta, m, v = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for t, gradient in enumerate(grads, 1):
        m += (gradient - m) * (1 - beta1)
        v += (gradient**2 - v) * (1 - beta2)
        alpha = lr * np.sqrt(1 - beta2**t) / (1 - beta1**t)
        theta -= alpha * m / (np.sqrt(v) + epsilon)
    return theta


def walk(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, grads: Floats) -> Floats:
    for gradient in grads:
        parameter.grad = torch.from_numpy(gradient).to(parameter.dtype)
        optimizer.step()
    return parameter.detach().double().numpy().copy()


def fresh() -> nn.Parameter:
    return nn.Parameter(torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(3, 2))


@given(st.integers(0, 1000), st.floats(1e-4, 1), st.floats(0.1, 0.99), st.floats(0.5, 0.9999), st.floats(1e-8, 1))
@settings(deadline=None, max_examples=50)
def test_twenty_steps_equal_kerass_rule(seed: int, lr: float, beta1: float, beta2: float, epsilon: float) -> None:
    parameter, grads = fresh(), gradients(seed)
    expected = keras(parameter.detach().numpy(), grads, lr, beta1, beta2, epsilon)
    moved = walk(keras_adam(lr, beta1, beta2, epsilon, params=[parameter]), parameter, grads)
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-10)


def test_defaults_are_kerass() -> None:
    parameter, grads = fresh(), gradients(3)
    expected = keras(parameter.detach().numpy(), grads, 1e-3, 0.9, 0.999, 1e-7)
    np.testing.assert_allclose(walk(keras_adam(params=[parameter]), parameter, grads), expected, rtol=0, atol=1e-10)


def test_a_resumed_optimizer_goes_on_identically() -> None:
    grads = gradients(4)
    whole = fresh()
    expected = walk(KerasAdam([whole], lr=0.01, epsilon=0.1), whole, grads)
    first = fresh()
    optimizer = KerasAdam([first], lr=0.01, epsilon=0.1)
    walk(optimizer, first, grads[:7])
    second = nn.Parameter(first.detach().clone())
    resumed = KerasAdam([second], lr=0.5, epsilon=1e-7)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert np.array_equal(walk(resumed, second, grads[7:]), expected)


def test_differs_from_torchs_adam_with_a_large_epsilon_and_hardly_with_a_small_one() -> None:
    def gap(epsilon: float) -> float:
        ours, theirs, grads = fresh(), fresh(), gradients(5)
        moved = walk(KerasAdam([ours], lr=1e-3, epsilon=epsilon), ours, grads)
        other = walk(torch.optim.Adam([theirs], lr=1e-3, eps=epsilon), theirs, grads)
        return float(np.abs(moved - other).max())

    assert gap(0.1) > 1e-3
    assert gap(1e-12) < 1e-8


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_equivalent_eps_is_epsilon_hat_before_bias_correction(step: int) -> None:
    v, beta2 = 0.3, 0.999
    corrected = np.sqrt(v / (1 - beta2**step)) + equivalent_eps(0.1, beta2, step)
    assert corrected * np.sqrt(1 - beta2**step) == pytest.approx(np.sqrt(v) + 0.1, rel=1e-12)


def test_groups_move_each_at_its_own_rate() -> None:
    one, two, grads = fresh(), fresh(), gradients(6)
    optimizer = keras_adam(0.1, epsilon=0.01, params=[{"params": [one]}, {"params": [two], "lr": 0.02}])
    for gradient in grads:
        one.grad, two.grad = torch.from_numpy(gradient), torch.from_numpy(gradient)
        optimizer.step()
    for parameter, lr in ((one, 0.1), (two, 0.02)):
        expected = keras(fresh().detach().numpy(), grads, lr, 0.9, 0.999, 0.01)
        np.testing.assert_allclose(parameter.detach(), expected, rtol=0, atol=1e-10)
