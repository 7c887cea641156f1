"""Optimizer `adam`: PyTorch's Adam."""

from __future__ import annotations

from typing import Any

import torch

from siamesekit.components.optimizers.fused import Params, fused_where_possible
from siamesekit.options import OpenFraction, Positive
from siamesekit.registry import OPTIMIZERS


@OPTIMIZERS.register("adam")
def adam(
    lr: Positive = 1e-3,
    beta1: OpenFraction = 0.9,
    beta2: OpenFraction = 0.999,
    epsilon: Positive = 1e-8,
    *,
    params: Params,
) -> torch.optim.Adam:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980), without weight decay; use `adamw` for that.

    Updates parameters of any shape in place.

    Args:
        lr: learning rate.
        beta1: decay rate of the mean of the gradient.
        beta2: decay rate of the mean square of the gradient.
        epsilon: added to √v̂, after bias correction.
        params: supplied by the run.
    """
    given: list[Any] = list(params)
    fused = fused_where_possible(given)
    return torch.optim.Adam(given, lr=lr, betas=(beta1, beta2), eps=epsilon, fused=fused)
