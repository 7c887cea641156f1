"""Sums over enumerated triplets, whose gradient is computed together with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from siamesekit.components.losses.batch_all import TripletSum


@dataclass
class Enumerated:
    """The sums over the triplets so far, 0 at first, and their gradients.

    Attributes:
        total: float64 scalar, sum of the losses.
        triplets: int64 scalar, number of triplets that count.
        active: int64 scalar, number of triplets with a loss above 0.
        slope: `[A, N]`, gradient by the distances of the anchors.
        slope_pn: `[N, N]`, gradient by the distances of the positives; None if the loss does not use them.
    """

    total: Tensor
    triplets: Tensor
    active: Tensor
    slope: Tensor
    slope_pn: Tensor | None


Add = Callable[[Enumerated, Tensor, Tensor | None], None]
"""Adds all triplets of the distances `[A, N]` of anchors and those `[N, N]` of positives, if the loss uses them."""


def sum_enumerated(distances: Tensor, of_positives: Tensor | None, add: Add) -> TripletSum:
    """What `add` has added; the gradient of the total flows to the distances.

    Args:
        distances: `[A, N]`, from the anchors to all photos.
        of_positives: `[N, N]`, all distances; None if the loss does not use them.
        add: adds the triplets.
    """
    return TripletSum(*_SumEnumerated.apply(distances, of_positives, add))


class _SumEnumerated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, distances: Tensor, of_positives: Tensor | None, add: Add) -> tuple[Tensor, Tensor, Tensor]:
        sums = Enumerated(
            total=distances.new_zeros((), dtype=torch.float64),
            triplets=torch.zeros((), dtype=torch.int64, device=distances.device),
            active=torch.zeros((), dtype=torch.int64, device=distances.device),
            slope=torch.zeros_like(distances),
            slope_pn=None if of_positives is None else torch.zeros_like(of_positives),
        )
        add(sums, distances, of_positives)
        ctx.save_for_backward(sums.slope, sums.slope_pn)
        ctx.mark_non_differentiable(sums.triplets, sums.active)
        return sums.total.to(distances.dtype), sums.triplets, sums.active

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        slope, slope_pn = ctx.saved_tensors
        return slope * upstream, None if slope_pn is None else slope_pn * upstream, None
