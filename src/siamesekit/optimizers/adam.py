"""Optimizer `adam`: PyTorch's."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from siamesekit.options import NonNegative, OpenFraction, Positive
from siamesekit.registry import OPTIMIZERS


def fused_where_possible(parameters: list[nn.Parameter]) -> bool | None:
    """True where PyTorch's fused kernel takes these parameters: one pass over memory in place of several."""
    return True if all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters) else None


@OPTIMIZERS.register("adam")
def adam(
    lr: Positive = 1e-3,
    beta1: OpenFraction = 0.9,
    beta2: OpenFraction = 0.999,
    epsilon: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    *,
    params: Iterable[nn.Parameter],
) -> torch.optim.Adam:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980) with decoupled weight decay (arXiv:1711.05101).

    Moves parameters of any shape in place.

    Args:
        lr: learning rate.
        beta1: decay of the gradient's mean.
        beta2: decay of the gradient's mean square.
        epsilon: added to √v̂, after bias correction.
        weight_decay: share of each weight, times the learning rate, taken off at each step.
        params: supplied by the run.
    """
    parameters = list(params)
    return torch.optim.AdamW(
        parameters, lr=lr, betas=(beta1, beta2), eps=epsilon, weight_decay=weight_decay,
        fused=fused_where_possible(parameters),
    )  # fmt: skip
