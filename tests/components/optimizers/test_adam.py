"""Optimizer `adam` against the rule of Kingma and Ba, written out."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from siamesekit.components.optimizers.adam import adam


@given(st.integers(0, 1000), st.floats(1e-4, 1), st.floats(0.1, 0.99), st.floats(0.5, 0.9999), st.floats(1e-8, 1))
@settings(deadline=None, max_examples=50)
def test_equals_the_written_out_rule(seed: int, lr: float, beta1: float, beta2: float, epsilon: float) -> None:
    grads = np.random.default_rng(seed).normal(size=(20, 4))
    parameter = nn.Parameter(torch.ones(4, dtype=torch.float64))
    optimizer = adam(lr, beta1, beta2, epsilon, params=iter([parameter]))
    theta, m, v = np.ones(4), np.zeros(4), np.zeros(4)
    for t, gradient in enumerate(grads, 1):
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        theta = theta - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon)
    np.testing.assert_allclose(parameter.detach(), theta, rtol=0, atol=1e-10)


def test_defaults_do_not_decay_weights() -> None:
    parameter = nn.Parameter(torch.ones(4))
    parameter.grad = torch.zeros(4)
    adam(params=[parameter]).step()
    assert torch.equal(parameter.detach(), torch.ones(4))
