"""The sum of any loss over *all* triplets of a batch, enumerated a few anchors and one positive at a time.

For what `batch_all` has no shortcut to: O(N² K) time, K being the most photos that an individual has, but O(N²) memory.
The gradient is taken at once with each part's losses, so no part outlives its turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from siamesekit.losses.batch_all import TripletSum
from siamesekit.triplets import positives_of

CHUNK_ELEMENTS = 1 << 18
"""So many triplets at a time: their temporaries stay in the cache."""

LossOf = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Of d_ap, d_an and d_pn, which broadcast to `[A, N]`: the losses, and which of the triplets count; both `[A, N]`.

The losses' derivatives are finite, also of triplets that do not count.
"""


def sum_over_triplets(distances: Tensor, labels: Tensor, loss_of: LossOf) -> TripletSum:
    """Sum of a loss over all triplets of a batch: `[N, N]`, int64 `[N]` → total, how many count, how many are above 0.

    Without any triplet the total is 0.
    """
    total, triplets, active = _SumOverTriplets.apply(distances, labels, loss_of)
    return TripletSum(total, triplets, active)


class _SumOverTriplets(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, distances: Tensor, labels: Tensor, loss_of: LossOf) -> tuple[Tensor, Tensor, Tensor]:
        index, there = positives_of(labels)
        count, most = index.shape
        total = distances.new_zeros((), dtype=torch.float64)
        triplets, active = (torch.zeros((), dtype=torch.int64, device=distances.device) for _ in range(2))
        slope = torch.zeros_like(distances)
        step = max(1, CHUNK_ELEMENTS // max(1, count))
        for rows in (slice(start, start + step) for start in range(0, count, step)):
            negative = labels[rows, None] != labels
            for positive, held in ((index[rows, k], there[rows, k, None]) for k in range(most)):
                # leaves of a graph of their own
                d_an = distances[rows].detach().requires_grad_()
                d_ap = d_an.detach().gather(1, positive[:, None]).requires_grad_()
                d_pn = distances.index_select(0, positive).detach().requires_grad_()
                with torch.enable_grad():
                    losses, counts = loss_of(d_ap, d_an, d_pn)
                    counts = counts & negative & held
                    losses = losses.where(counts, 0)
                    part = losses.sum(dtype=torch.float64)
                by_ap, by_an, by_pn = torch.autograd.grad(part, (d_ap, d_an, d_pn), materialize_grads=True)
                total += part.detach()
                triplets += counts.sum()
                active += (losses.detach() > 0).sum()
                slope[rows] += by_an.scatter_add(1, positive[:, None], by_ap)
                slope.index_add_(0, positive, by_pn)
        ctx.save_for_backward(slope)
        ctx.mark_non_differentiable(triplets, active)
        return total.to(distances.dtype), triplets, active

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return slope * upstream, None, None
