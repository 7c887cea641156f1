"""log Σ eˣ of groups, and log (1 + eˣ), without overflow and with finite gradients."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def log_sum_exp(values: Tensor, mask: Tensor, dim: int) -> Tensor:
    """log Σ eˣ along `dim` over the values whose mask is true: `[N, M]`, bool `[N, M]` → `[N]` or `[M]`.

    Without any value the result is the least finite number, whose exponential and gradient are 0.
    """
    return values.masked_fill(~mask, torch.finfo(values.dtype).min).logsumexp(dim)


def log_sum_exp_by(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """log Σ eˣ over the values of each group: `[P]`, int64 `[P]` of 0 … G − 1 → `[G]`.

    An empty group gives the least finite number, as in `log_sum_exp`.
    """
    least = torch.finfo(values.dtype).min
    most = values.new_full((groups,), least).scatter_reduce(0, group, values.detach(), "amax")
    sums = values.new_zeros(groups).index_add(0, group, (values - most.index_select(0, group)).exp())
    some = sums > 0
    return torch.where(some, sums.where(some, 1).log() + most, least)


def log_one_plus_exp(values: Tensor) -> Tensor:
    """log (1 + eˣ): `[...]` → `[...]`, accurate to the last digits of float64.

    PyTorch's default softplus returns x from 20 on, with an error of up to 2e-9.
    """
    return F.softplus(values, threshold=40)
