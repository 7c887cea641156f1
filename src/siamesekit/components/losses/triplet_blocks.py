"""The sum of a triplet loss over *all* triplets of anchors with many positives, with its gradient by hand.

The triplets of one anchor are a matrix: its K positives by its n negatives. They are computed a block at a time, in
buffers that stay in the cache. Anchors with the same negatives share the distances of their positives. The time is
O(A K N), as that of `losses.each_triplet`, which is faster for few positives; but each triplet takes far fewer
operations.

The soft hinge takes an exponential per distance, not per triplet, since exp(d_ap − d_an) = exp(d_ap) · exp(−d_an), and
with `swap`, exp(−min(d_an, d_pn)) = max(exp(−d_an), exp(−d_pn)). The logarithms of several triplets are that of one
product. Both are in float64.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from siamesekit.components.losses.batch_all import Mining, TripletSum
from siamesekit.components.losses.enumerated import Enumerated, sum_enumerated
from siamesekit.components.losses.log_sum_exp import log_one_plus_exp
from siamesekit.components.tuples import Candidates

BLOCK = 1 << 17
"""Number of triplets per block: few enough that its buffers stay in the cache."""
SPREAD = 80.0
"""Largest difference of distances plus margin for which exponentials are factored."""
FACTORS = 8
"""Number of factors of a product: (1 + exp(80))⁸ is finite in float64."""


class TripletTerm(NamedTuple):
    """The loss of a triplet, as the options of `TripletLoss`."""

    margin: float
    mining: Mining
    hinge: Literal["linear", "squared", "soft"]


class _Sides(NamedTuple):
    """One value for each distance of the triplets of an anchor with K positives and n negatives.

    Attributes:
        positive: `[K]`, for d_ap.
        negative: `[n]`, for d_an.
        other: `[K, n]`, for d_pn; None without `swap`.
    """

    positive: Tensor
    negative: Tensor
    other: Tensor | None


class _Block(NamedTuple):
    """Results of a block: the summed loss, its derivatives by d_ap `[K, n]`, and numbers of triplets (`TripletSum`)."""

    total: Tensor
    slope: Tensor
    triplets: Tensor | int
    active: Tensor | int


def sum_over_blocks(
    distances: Tensor, candidates: Candidates, term: TripletTerm, of_positives: Tensor | None = None
) -> TripletSum:
    """The sum of a triplet loss over all triplets of A anchors; its gradient flows to the distances.

    Args:
        distances: `[A, N]`, from the anchors to all photos.
        candidates: positives and negatives of the anchors.
        term: loss of a triplet.
        of_positives: `[N, N]`, all distances, if a negative is as far as the smaller of d_an and d_pn (`swap`).
    """

    def add(found: Enumerated, distances: Tensor, of_positives: Tensor | None) -> None:
        sums = _Sums(found, distances, of_positives, candidates, term)
        alike = candidates.negative.unique(dim=0, return_inverse=True)[1]
        for anchors in alike.argsort(stable=True).split(alike.bincount().tolist()):
            sums.add(anchors)

    return sum_enumerated(distances, of_positives, add)


class _Sums:
    """Adds the triplets of anchors to sums."""

    def __init__(
        self,
        found: Enumerated,
        distances: Tensor,
        of_positives: Tensor | None,
        candidates: Candidates,
        term: TripletTerm,
    ) -> None:
        self.found = found
        self.distances, self.of_positives, self.candidates, self.term = distances, of_positives, candidates, term
        every = distances if of_positives is None else of_positives
        least, greatest = torch.stack(every.aminmax()).tolist() if every.numel() else (0.0, 0.0)
        self.factored = term.hinge == "soft" and term.mining == "all" and greatest - least + term.margin <= SPREAD
        self.centre = (least + greatest) / 2
        self.dtype = torch.float64 if self.factored else distances.dtype
        self.buffers = torch.empty(3, BLOCK, dtype=self.dtype, device=distances.device)

    def add(self, anchors: Tensor) -> None:
        """Add all triplets of some anchors that have the same negatives: int64 `[a]`, rows of `distances`."""
        columns = self.candidates.negative[anchors[0]].nonzero()[:, 0]
        if len(columns) == 0:
            return
        listed = torch.zeros(len(anchors), self.distances.shape[1], device=columns.device)  # how often as a positive
        listed.scatter_add_(1, self.candidates.positive[anchors], self.candidates.mask[anchors].to(listed.dtype))
        step = max(1, BLOCK // len(columns))
        if step * len(columns) > self.buffers.shape[1]:
            self.buffers = self.buffers.new_empty(3, len(columns))
        distances = self.distances.index_select(0, anchors)
        negatives = self._negative(distances.index_select(1, columns))
        slope = torch.zeros_like(distances, dtype=self.dtype)
        by_negative = torch.zeros_like(negatives)
        for rows in listed.any(dim=0).nonzero()[:, 0].split(step):
            positives, times = self._positive(distances.index_select(1, rows)), listed.index_select(1, rows)
            other, by_other = None, None
            if self.of_positives is not None:
                other = self._negative(self.of_positives.index_select(0, rows).index_select(1, columns))
                by_other = torch.zeros_like(other)
            by_positive = torch.zeros_like(positives)
            for row, once in enumerate((times == 1).all(dim=1).tolist()):
                values = _Sides(positives[row], negatives[row], other)
                slopes = _Sides(by_positive[row], by_negative[row], by_other)
                if once:
                    self._add_block(values, slopes)
                else:
                    of_row = times[row].long()
                    for part in torch.arange(len(rows), device=rows.device).repeat_interleave(of_row).split(step):
                        self._add_block(values, slopes, part)
            slope[:, rows] += by_positive
            if by_other is not None and self.found.slope_pn is not None:
                whole = self.found.slope_pn.new_zeros(len(rows), self.found.slope_pn.shape[1])
                self.found.slope_pn[rows] += whole.index_copy_(1, columns, by_other.div_(-2).to(whole.dtype))
        slope[:, columns] -= by_negative
        self.found.slope[anchors] = slope.to(self.found.slope.dtype)

    def _add_block(self, values: _Sides, slopes: _Sides, part: Tensor | None = None) -> None:
        """Add the triplets of an anchor.

        Args:
            values: what `_positive` and `_negative` make of the distances.
            slopes: gradients, to which are added: the derivatives by d_ap, −d_an, and twice those by −d_pn.
            part: int64 `[K]`, the positives that count; None if each counts once.
        """
        positive, negative, other = values
        if part is not None:
            positive, other = positive[part], None if other is None else other[part]
        buffers = self.buffers[:, : len(positive) * len(negative)].view(3, len(positive), len(negative))
        compute = _factored if self.factored else _directly
        block = compute(_Sides(positive[:, None], negative, other), self.term, buffers)
        self.found.total += block.total
        self.found.triplets += block.triplets
        self.found.active += block.active
        _add(slopes.positive, block.slope.sum(1), part)
        by_negative = block.slope.sum(0)
        if other is not None and slopes.other is not None:
            # 1 if the anchor is nearer to the negative, −1 if the positive is; at 0 each gets half of the slope
            sides = (negative, other) if self.factored else (other, negative)
            nearer = torch.sub(*sides, out=buffers[0]).sign_().mul_(block.slope)
            by_negative = (by_negative + nearer.sum(0)) / 2
            _add(slopes.other, block.slope.sub_(nearer), part)
        slopes.negative.add_(by_negative)

    def _positive(self, d_ap: Tensor) -> Tensor:
        return (d_ap.to(self.dtype) + (self.term.margin - self.centre)).exp_() if self.factored else d_ap

    def _negative(self, d: Tensor) -> Tensor:
        return (self.centre - d.to(self.dtype)).exp_() if self.factored else d


def _add(to: Tensor, values: Tensor, part: Tensor | None) -> None:
    """Add values to all rows of `to`, or to a part of them."""
    if part is None:
        to.add_(values)
    else:
        to.index_add_(0, part, values)


def _factored(values: _Sides, term: TripletTerm, buffers: Tensor) -> _Block:
    """The soft hinge from exponentials in float64: log(1 + y), whose slope is y / (1 + y)."""
    positive, negative, other = values
    nearest = negative if other is None else torch.maximum(negative, other, out=buffers[1])
    y = torch.mul(positive, nearest, out=buffers[1])
    sums = torch.add(y, 1, out=buffers[2])
    whole = len(sums) // FACTORS * FACTORS
    products = sums[:whole].view(FACTORS, -1, sums.shape[1]).prod(0)
    total = products.log_().sum() + sums[whole:].log().sum()
    return _Block(total, y.div_(sums), y.numel(), y.numel())


def _directly(values: _Sides, term: TripletTerm, buffers: Tensor) -> _Block:
    """Any hinge and mining, from the distances."""
    positive, negative, other = values
    nearest = negative if other is None else torch.minimum(negative, other, out=buffers[1])
    admitted = None
    if term.mining == "hard":
        admitted = nearest <= positive
    elif term.mining == "semi-hard":
        admitted = (positive < nearest) & (nearest < positive + term.margin)
    violation = torch.sub(positive, nearest, out=buffers[1]).add_(term.margin)
    if term.hinge == "soft":
        losses, slope = log_one_plus_exp(violation), torch.sigmoid(violation, out=buffers[2])
    elif term.hinge == "linear":
        slope, losses = torch.gt(violation, 0, out=buffers[2]), violation.clamp_min_(0)
    else:
        slope, losses = torch.mul(violation.clamp_min_(0), 2, out=buffers[2]), violation.square_()
    if admitted is not None:
        losses, slope = losses.masked_fill_(~admitted, 0), slope.masked_fill_(~admitted, 0)
    total = losses.sum(dtype=torch.float64)
    positive_losses = slope if term.hinge == "linear" else torch.gt(losses, 0, out=buffers[0])
    active = positive_losses.sum(1).sum(dtype=torch.float64).long()
    return _Block(total, slope, losses.numel() if admitted is None else admitted.sum(), active)
