"""Optimizer `sgd`: PyTorch's SGD."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from annotated_types import Ge, Lt

from siamesekit.components.optimizers.fused import Params, fused_where_possible
from siamesekit.errors import ComponentError
from siamesekit.options import NonNegative, Positive
from siamesekit.registry import OPTIMIZERS

Momentum = Annotated[float, Ge(0), Lt(1)]


@OPTIMIZERS.register("sgd")
def sgd(
    lr: Positive = 0.01,
    momentum: Momentum = 0.9,
    nesterov: bool = False,
    weight_decay: NonNegative = 0.0,
    *,
    params: Params,
) -> torch.optim.SGD:
    """Stochastic gradient descent with momentum: v ← momentum · v + g, θ ← θ − lr · v.

    Updates parameters of any shape in place. Nesterov momentum (Sutskever et al. 2013) uses the step g + momentum · v.

    Args:
        lr: learning rate.
        momentum: share of the last step that is kept; 0 for plain gradient steps.
        nesterov: whether to use Nesterov momentum, which looks ahead by the momentum.
        weight_decay: this share of every weight is added to its gradient g.
        params: supplied by the run.

    Raises:
        ComponentError: Nesterov momentum with a momentum of 0.
    """
    if nesterov and momentum == 0:
        raise ComponentError("optimizer 'sgd': nesterov = true needs a momentum: set momentum above 0")
    given: list[Any] = list(params)
    return torch.optim.SGD(
        given,
        lr=lr,
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=weight_decay,
        fused=fused_where_possible(given),
    )
