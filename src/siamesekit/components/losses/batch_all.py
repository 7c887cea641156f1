"""The triplet loss over *all* triplets of a batch, exactly, without enumerating them.

The triplet (a, p, n) has a loss above 0 if d_an < d_ap + margin. The gradient with respect to a distance *is* the
number of its active triplets, and the loss is a weighted sum of these counts. The counts come from a comparison of d_an
with the K thresholds d_ap + margin of the anchor: one threshold after the other for small K, in O(N² K) time, otherwise
by bisection among the sorted thresholds, in O(N² log K) time. Both take O(N²) memory; enumeration takes O(N² K).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from siamesekit.components.tuples import Candidates, count_triplets, positives_of

Mining = Literal["all", "hard", "semi-hard"]
Hinge = Literal["linear", "squared"]

CHUNK_ELEMENTS = 1 << 18
"""Number of distances per chunk: few enough that temporaries stay in the cache."""
BISECT_FROM = 128
"""Number of photos of an individual from which bisection is faster than comparison with each."""


class TripletSum(NamedTuple):
    """The summed loss of all triplets of a batch.

    Attributes:
        total: scalar, sum of the losses; its gradient flows to the distances.
        triplets: int64 scalar, number of triplets.
        active: int64 scalar, number of triplets with a loss above 0.
    """

    total: Tensor
    triplets: Tensor
    active: Tensor


def batch_all(
    distances: Tensor, labels: Tensor, margin: float, mining: Mining = "all", hinge: Hinge = "linear"
) -> TripletSum:
    """Sum of max(d_ap − d_an + margin, 0), or of its square, over all triplets of a batch.

    Equal to the sum over enumerated triplets, including its gradient (`tests/components/losses/test_batch_all.py`).
    The total is 0 without triplets, and NaN if any distance is not finite.

    Args:
        distances: `[N, N]`, of either sign, between the N embeddings of the batch, float32 or float64.
        labels: int64 `[N]`, individuals.
        margin: at least 0, in units of the distances.
        mining: `all` triplets; `hard`, those with d_an ≤ d_ap; `semi-hard`, those with d_ap < d_an < d_ap + margin.
        hinge: `linear` or `squared`.
    """
    index, mask = positives_of(labels)
    total, triplets, active = _BatchAll.apply(
        distances, (index, mask, None), count_triplets(labels), margin, mining, hinge
    )
    return TripletSum(total, triplets, active)


def batch_all_of(
    distances: Tensor, candidates: Candidates, margin: float, mining: Mining = "all", hinge: Hinge = "linear"
) -> TripletSum:
    """The sum of `batch_all` over all triplets of A anchors with their positives and negatives: distances `[A, N]`.

    The total is NaN if the distance of a positive or a negative is not finite.
    """
    _, positive, mask, negative = candidates
    total, triplets, active = _BatchAll.apply(
        distances, (positive, mask, negative), candidates.triplets(), margin, mining, hinge
    )
    return TripletSum(total, triplets, active)


class _BatchAll(torch.autograd.Function):
    """The sum, with its gradient with respect to the distances from the same pass."""

    @staticmethod
    def forward(
        ctx: Any,
        distances: Tensor,
        candidates: tuple[Tensor, Tensor, Tensor | None],
        triplets: Tensor,
        margin: float,
        mining: Mining,
        hinge: Hinge,
    ) -> tuple[Tensor, Tensor, Tensor]:
        index, mask, negative = candidates
        count, photos = distances.shape
        slopes_of = _slopes_by_comparison if index.shape[1] < BISECT_FROM else _slopes_by_bisection
        sums = distances.new_zeros(2, dtype=torch.float64)
        active, mined = (torch.zeros((), dtype=torch.int64, device=distances.device) for _ in range(2))
        slope = torch.zeros_like(distances)
        step = max(1, CHUNK_ELEMENTS // max(1, photos))
        for rows in (slice(start, start + step) for start in range(0, count, step)):
            d, valid = distances[rows], mask[rows]
            d_ap = d.gather(1, index[rows])
            finite = d_ap.masked_fill(~valid, 0).sum(dtype=torch.float64)
            d_ap.masked_fill_(~valid, -torch.inf)
            # a photo at an infinite distance is in no active triplet
            if negative is None:  # `index` has all photos of the individual, the anchor included
                d_an = d.scatter(1, index[rows], torch.inf)
            else:
                d_an = d.masked_fill(~negative[rows], torch.inf)
                d = d.masked_fill(~negative[rows], 0)
            chunk = slopes_of(d_ap, d_an, margin, mining, hinge, slope[rows])
            of_positives = (chunk.slope * (d_ap + margin).masked_fill_(~valid, 0)).sum(dtype=torch.float64)
            of_negatives = (slope[rows] * d).sum(dtype=torch.float64)
            sums += torch.stack([of_positives + of_negatives, finite + d.sum(dtype=torch.float64)])
            slope[rows].scatter_add_(1, index[rows], chunk.slope)
            active += chunk.active
            mined += chunk.mined
        ctx.save_for_backward(slope)
        triplets = triplets.clone() if mining == "all" else mined
        ctx.mark_non_differentiable(triplets, active)
        # The loss is homogeneous in all d_an and d_ap + margin. By Euler's theorem it is the product of its gradient
        # with them, divided by its degree, whatever their signs.
        loss = (sums[0] if hinge == "linear" else sums[0] / 2).clamp_min(0)
        return torch.where(torch.isfinite(sums[1]), loss, torch.nan).to(distances.dtype), triplets, active

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return slope * upstream, *[None] * 5


class _Chunk(NamedTuple):
    """Results of a chunk of A anchors, without the gradient with respect to the distances of negatives.

    Attributes:
        slope: `[A, K]`, gradient with respect to the distances of positives.
        active: scalar, number of triplets with a loss above 0.
        mined: scalar, number of triplets that `mining` admits; meaningless for `all`.
    """

    slope: Tensor
    active: Tensor
    mined: Tensor


def _slopes_by_comparison(
    d_ap: Tensor, d_an: Tensor, margin: float, mining: Mining, hinge: Hinge, slope: Tensor
) -> _Chunk:
    """Gradients of A anchors with K positives each, one positive after the other.

    Args:
        d_ap: `[A, K]`, padded with −∞.
        d_an: `[A, N]`, ∞ for photos that are no negatives.
        margin: margin of the loss.
        mining: mining of the loss.
        hinge: hinge of the loss.
        slope: `[A, N]`, zeros, to which the gradient with respect to d_an is added in place.
    """
    slope_p, threshold = torch.zeros_like(d_ap), d_ap + margin
    active, admitted = torch.empty_like(d_an), torch.empty_like(d_an)  # 0 or 1 as floats, which add fastest
    counts = d_ap.new_zeros(2, dtype=torch.float64)
    for k in range(d_ap.shape[1]):
        positive = slice(k, k + 1)
        torch.lt(d_an, threshold[:, positive], out=active)
        if mining != "all":
            compare = torch.le if mining == "hard" else torch.gt
            compare(d_an, d_ap[:, positive], out=admitted)
            active.mul_(admitted)
        counts[0] += (per_anchor := active.sum(1)).sum()
        if mining == "hard":
            counts[1] += admitted.sum()
        if hinge == "squared":
            active.mul_((threshold[:, positive] - d_an).clamp_min_(0)).mul_(2)
            per_anchor = active.sum(1)
        slope_p[:, k] = per_anchor
        slope.sub_(active)
    return _Chunk(slope_p, counts[0].long(), counts[1 if mining == "hard" else 0].long())


def _slopes_by_bisection(
    d_ap: Tensor, d_an: Tensor, margin: float, mining: Mining, hinge: Hinge, slope: Tensor
) -> _Chunk:
    """The gradients of `_slopes_by_comparison`, by the ranks of the negatives among the sorted positives.

    A negative is active with the positives at ranks `low` … `high` − 1: from `low` on, the threshold is above its
    distance.
    """
    d_ap, order = d_ap.sort(dim=1)
    threshold = d_ap + margin
    width = d_ap.shape[1]
    low, high = torch.searchsorted(threshold, d_an, right=True), torch.full_like(d_an, width, dtype=torch.int64)
    if mining != "all":
        as_far = torch.searchsorted(d_ap, d_an)  # from this rank on, positives are at least as far
        low, high = (torch.maximum(as_far, low), high) if mining == "hard" else (low, torch.maximum(as_far, low))
    of_negative = high - low
    active = of_negative.sum()
    mined = (width - as_far).sum() if mining == "hard" else active
    ones = torch.ones((), dtype=torch.float64, device=d_an.device).expand(d_an.shape)
    of_positive = _up_to(low, ones, width) - _up_to(high, ones, width)
    if hinge == "linear":
        slope.sub_(of_negative)
    else:
        d = torch.where(of_negative > 0, d_an, 0).double()
        t = torch.where(of_positive > 0, threshold, 0).double()
        t_sums = pad(t.cumsum(1), (1, 0))
        slope.sub_(2 * (t_sums.gather(1, high) - t_sums.gather(1, low) - of_negative * d))
        of_positive = 2 * (of_positive * t - _up_to(low, d, width) + _up_to(high, d, width))
    return _Chunk(torch.zeros_like(d_ap).scatter_(1, order, of_positive.to(d_ap.dtype)), active, mined)


def _up_to(place: Tensor, weight: Tensor, width: int) -> Tensor:
    """The total weight, float64, of the entries at ranks ≤ k, for each k < width: `[A, N]` → `[A, width]`."""
    sums = weight.new_zeros(len(place), width + 1)
    return sums.scatter_add_(1, place, weight)[:, :width].cumsum(1)
