"""Optimizer `adamw` against the rule of Loshchilov and Hutter, written out."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from siamesekit.components.optimizers.adam import adam
from siamesekit.components.optimizers.adamw import adamw


@given(st.integers(0, 1000), st.floats(1e-4, 0.5), st.floats(0.1, 0.99), st.floats(0.5, 0.9999), st.floats(0, 1))
@settings(deadline=None, max_examples=50)
def test_equals_the_written_out_rule(seed: int, lr: float, beta1: float, beta2: float, decay: float) -> None:
    grads = np.random.default_rng(seed).normal(size=(20, 4))
    parameter = nn.Parameter(torch.ones(4, dtype=torch.float64))
    optimizer = adamw(lr, beta1, beta2, 1e-6, decay, params=iter([parameter]))
    theta, m, v = np.ones(4), np.zeros(4), np.zeros(4)
    for t, gradient in enumerate(grads, 1):
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        theta = theta * (1 - lr * decay)
        theta = theta - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + 1e-6)
    np.testing.assert_allclose(parameter.detach(), theta, rtol=0, atol=1e-10)


def test_each_step_takes_lr_times_decay_off_every_weight() -> None:
    parameter = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = adamw(lr=0.1, weight_decay=0.5, params=[parameter])
    for _ in range(3):
        parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    np.testing.assert_allclose(parameter.detach(), np.array([1.0, -2.0]) * 0.95**3, rtol=1e-12)


def test_without_decay_it_is_adam() -> None:
    with_adamw, with_adam = (nn.Parameter(torch.ones(4, dtype=torch.float64)) for _ in range(2))
    for optimizer, parameter in (
        (adamw(weight_decay=0.0, params=[with_adamw]), with_adamw),
        (adam(params=[with_adam]), with_adam),
    ):
        for gradient in torch.from_numpy(np.random.default_rng(0).normal(size=(5, 4))):
            parameter.grad = gradient
            optimizer.step()
    assert not torch.equal(with_adam, torch.ones(4, dtype=torch.float64))
    np.testing.assert_allclose(with_adamw.detach(), with_adam.detach(), rtol=1e-14)
