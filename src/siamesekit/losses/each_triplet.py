"""The sum of any loss over *all* triplets of some anchors, enumerated a few anchors and one positive at a time.

For what `batch_all` has no shortcut to: O(N² K) time, K being the most positives of an anchor, but O(N²) memory.
The gradient is taken at once with each part's losses, so no part outlives its turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from siamesekit.losses.batch_all import TripletSum
from siamesekit.triplets import Candidates

CHUNK_ELEMENTS = 1 << 18
"""So many triplets at a time: their temporaries stay in the cache."""

LossOf = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Of d_ap, d_an and d_pn, which broadcast to `[A, N]`: the losses, and which of the triplets count; both `[A, N]`.

The losses' derivatives are finite, also of triplets that do not count.
"""


def sum_over_triplets(
    distances: Tensor, candidates: Candidates, loss_of: LossOf, of_positives: Tensor | None = None
) -> TripletSum:
    """Sum of a loss over all triplets that anchors make: its total, how many count, how many are above 0.

    Without any triplet the total is 0.

    Args:
        distances: `[A, N]`, of the anchors from all photos.
        candidates: the anchors' positives and negatives.
        loss_of: of a triplet.
        of_positives: `[N, N]`, all distances, for a loss that looks at d_pn; without them it is given d_an for that.
    """
    total, triplets, active = _SumOverTriplets.apply(distances, of_positives, candidates, loss_of)
    return TripletSum(total, triplets, active)


class _SumOverTriplets(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, distances: Tensor, of_positives: Tensor | None, candidates: Candidates, loss_of: LossOf
    ) -> tuple[Tensor, Tensor, Tensor]:
        _, index, there, negatives = candidates
        count, photos = distances.shape
        total = distances.new_zeros((), dtype=torch.float64)
        triplets, active = (torch.zeros((), dtype=torch.int64, device=distances.device) for _ in range(2))
        slope, slope_pn = torch.zeros_like(distances), None if of_positives is None else torch.zeros_like(of_positives)
        step = max(1, CHUNK_ELEMENTS // max(1, photos))
        for rows in (slice(start, start + step) for start in range(0, count, step)):
            for positive, held in ((index[rows, k], there[rows, k, None]) for k in range(index.shape[1])):
                # leaves of a graph of their own
                d_an = distances[rows].detach().requires_grad_()
                d_ap = d_an.detach().gather(1, positive[:, None]).requires_grad_()
                leaves = [d_ap, d_an]
                if of_positives is not None:
                    leaves.append(of_positives.index_select(0, positive).detach().requires_grad_())
                with torch.enable_grad():
                    losses, counts = loss_of(d_ap, d_an, leaves[-1])
                    counts = counts & negatives[rows] & held
                    losses = losses.where(counts, 0)
                    part = losses.sum(dtype=torch.float64)
                by_ap, by_an, *by_pn = torch.autograd.grad(part, leaves, materialize_grads=True)
                total += part.detach()
                triplets += counts.sum()
                active += (losses.detach() > 0).sum()
                slope[rows] += by_an.scatter_add(1, positive[:, None], by_ap)
                if slope_pn is not None:
                    slope_pn.index_add_(0, positive, *by_pn)
        ctx.save_for_backward(slope, slope_pn)
        ctx.mark_non_differentiable(triplets, active)
        return total.to(distances.dtype), triplets, active

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        slope, slope_pn = ctx.saved_tensors
        return slope * upstream, None if slope_pn is None else slope_pn * upstream, None, None
