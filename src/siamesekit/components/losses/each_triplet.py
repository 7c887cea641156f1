"""The sum of any loss over *all* triplets of some anchors, enumerated a few anchors and one positive at a time.

Used for losses without a shortcut in `batch_all`. It takes O(N² K) time, K being the largest number of positives of an
anchor, but only O(N²) memory: each part's gradient is computed with its losses, and the part is then freed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from siamesekit.components.losses.batch_all import TripletSum
from siamesekit.components.losses.enumerated import Enumerated, sum_enumerated
from siamesekit.components.tuples import Candidates

CHUNK_ELEMENTS = 1 << 18
"""Number of triplets per chunk: few enough that temporaries stay in the cache."""

LossOf = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(d_ap, d_an, d_pn), which broadcast to `[A, N]` → the losses, and the mask of triplets that count, both `[A, N]`.

The derivatives of the losses are finite, even for triplets that do not count.
"""


def sum_over_triplets(
    distances: Tensor, candidates: Candidates, loss_of: LossOf, of_positives: Tensor | None = None
) -> TripletSum:
    """Sum of a loss over all triplets of some anchors, with the number of triplets that count and that are above 0.

    The total is 0 without triplets.

    Args:
        distances: `[A, N]`, from the anchors to all photos.
        candidates: positives and negatives of the anchors.
        loss_of: loss of a triplet.
        of_positives: `[N, N]`, all distances, for a loss that uses d_pn. If None, the loss gets d_an as d_pn.
    """

    def add(sums: Enumerated, distances: Tensor, of_positives: Tensor | None) -> None:
        _, index, mask, negatives = candidates
        count, photos = distances.shape
        step = max(1, CHUNK_ELEMENTS // max(1, photos))
        for rows in (slice(start, start + step) for start in range(0, count, step)):
            for positive, valid in ((index[rows, k], mask[rows, k, None]) for k in range(index.shape[1])):
                # leaves of a separate graph
                d_an = distances[rows].detach().requires_grad_()
                d_ap = d_an.detach().gather(1, positive[:, None]).requires_grad_()
                leaves = [d_ap, d_an]
                if of_positives is not None:
                    leaves.append(of_positives.index_select(0, positive).detach().requires_grad_())
                with torch.enable_grad():
                    losses, counts = loss_of(d_ap, d_an, leaves[-1])
                    counts = counts & negatives[rows] & valid
                    losses = losses.where(counts, 0)
                    part = losses.sum(dtype=torch.float64)
                by_ap, by_an, *by_pn = torch.autograd.grad(part, leaves, materialize_grads=True)
                sums.total += part.detach()
                sums.triplets += counts.sum()
                sums.active += (losses.detach() > 0).sum()
                sums.slope[rows] += by_an.scatter_add(1, positive[:, None], by_ap)
                if sums.slope_pn is not None:
                    sums.slope_pn.index_add_(0, positive, *by_pn)

    return sum_enumerated(distances, of_positives, add)
