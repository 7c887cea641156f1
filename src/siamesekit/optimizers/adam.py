"""Optimizer `adam`: PyTorch's."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from siamesekit.optimizers.fused import fused_where_possible
from siamesekit.options import OpenFraction, Positive
from siamesekit.registry import OPTIMIZERS


@OPTIMIZERS.register("adam")
def adam(
    lr: Positive = 1e-3,
    beta1: OpenFraction = 0.9,
    beta2: OpenFraction = 0.999,
    epsilon: Positive = 1e-8,
    *,
    params: Iterable[nn.Parameter],
) -> torch.optim.Adam:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980), without weight decay: `adamw` has it.

    Moves parameters of any shape in place.

    Args:
        lr: learning rate.
        beta1: decay of the gradient's mean.
        beta2: decay of the gradient's mean square.
        epsilon: added to √v̂, after bias correction.
        params: supplied by the run.
    """
    parameters = list(params)
    fused = fused_where_possible(parameters)
    return torch.optim.Adam(parameters, lr=lr, betas=(beta1, beta2), eps=epsilon, fused=fused)
