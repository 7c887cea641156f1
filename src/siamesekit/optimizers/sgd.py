"""Optimizer `sgd`: PyTorch's."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from annotated_types import Ge, Lt

from siamesekit.errors import ComponentError
from siamesekit.optimizers.fused import Params, fused_where_possible
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

    Moves parameters of any shape in place. Sutskever et al. 2013 for Nesterov's form, in which a step is by
    g + momentum · v.

    Args:
        lr: learning rate.
        momentum: how much of the last step's direction stays; 0: the gradient alone.
        nesterov: whether the step looks ahead by the momentum.
        weight_decay: so much of every weight is added to its gradient g.
        params: supplied by the run.

    Raises:
        ComponentError: Nesterov's form without momentum.
    """
    if nesterov and momentum == 0:
        raise ComponentError("optimizer 'sgd': nesterov = true looks ahead by the momentum: set momentum above 0")
    given: list[Any] = list(params)
    return torch.optim.SGD(
        given, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay,
        fused=fused_where_possible(given),
    )  # fmt: skip
