"""Optimizer `sgd` against its rule, written out."""

import numpy as np
import pytest
import torch
from torch import nn

from siamesekit.components.optimizers.sgd import sgd
from siamesekit.errors import ComponentError


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_equals_the_written_out_rule(momentum: float, decay: float, nesterov: bool) -> None:
    if nesterov and momentum == 0:
        with pytest.raises(ComponentError, match="set momentum above 0"):
            sgd(momentum=0.0, nesterov=True, params=[nn.Parameter(torch.ones(1))])
        return
    parameter = nn.Parameter(torch.linspace(-1, 2, 4, dtype=torch.float64))
    optimizer = sgd(0.1, momentum, nesterov, decay, params=iter([parameter]))
    theta, v = parameter.detach().numpy().copy(), np.zeros(4)
    for gradient in np.random.default_rng(0).normal(size=(15, 4)):
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
        g = gradient + decay * theta
        v = momentum * v + g
        theta = theta - 0.1 * (g + momentum * v if nesterov else v)
    np.testing.assert_allclose(parameter.detach(), theta, rtol=0, atol=1e-12)
