"""Optimizer `adamw`: PyTorch's."""

from __future__ import annotations

from typing import Any

import torch

from siamesekit.optimizers.fused import Params, fused_where_possible
from siamesekit.options import NonNegative, OpenFraction, Positive
from siamesekit.registry import OPTIMIZERS


@OPTIMIZERS.register("adamw")
def adamw(
    lr: Positive = 1e-3,
    beta1: OpenFraction = 0.9,
    beta2: OpenFraction = 0.999,
    epsilon: Positive = 1e-8,
    weight_decay: NonNegative = 0.01,
    *,
    params: Params,
) -> torch.optim.AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101).

    Moves parameters of any shape in place.

    Args:
        lr: learning rate.
        beta1: decay of the gradient's mean.
        beta2: decay of the gradient's mean square.
        epsilon: added to √v̂, after bias correction.
        weight_decay: each step takes `lr · weight_decay` of every weight off it.
        params: supplied by the run.
    """
    given: list[Any] = list(params)
    return torch.optim.AdamW(
        given, lr=lr, betas=(beta1, beta2), eps=epsilon, weight_decay=weight_decay,
        fused=fused_where_possible(given),
    )  # fmt: skip
