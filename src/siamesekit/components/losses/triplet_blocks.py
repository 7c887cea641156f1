"""The sum of a triplet loss over *all* triplets of anchors with many positives, with its gradient by hand.

The triplets of one anchor are a matrix: its K positives by its n negatives (`losses.triplet_terms`). They are computed
a block at a time, in buffers that stay in the cache. Anchors with the same negatives share the distances of their
positives. The time is O(A K N), as that of `losses.each_triplet`, which is faster for few positives; but each triplet
takes far fewer operations.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from siamesekit.components.losses.batch_all import TripletSum
from siamesekit.components.losses.enumerated import Enumerated, sum_enumerated
from siamesekit.components.losses.triplet_terms import MULTIPLE, Directly, Factored, Factors, TripletTerm
from siamesekit.components.tuples import Candidates
from siamesekit.hardware.float32 import full_precision

BLOCK = 1 << 17
"""Number of triplets of an anchor per block: few enough that its buffers stay in the cache."""


def sum_over_blocks(
    distances: Tensor,
    candidates: Candidates,
    term: TripletTerm,
    of_positives: Tensor | None = None,
    remembered: int = 0,
) -> TripletSum:
    """The sum of a triplet loss over all triplets of A anchors; its gradient flows to the distances.

    Args:
        distances: `[A, N]`, from the anchors to all photos.
        candidates: positives and negatives of the anchors.
        term: loss of a triplet.
        of_positives: `[N, N]`, all distances, if a negative is as far as the smaller of d_an and d_pn (`swap`).
        remembered: number of the last photos, whose distances from each other need no gradient: in `of_positives` it
            is then 0.
    """

    def add(found: Enumerated, distances: Tensor, of_positives: Tensor | None) -> None:
        batch = distances.shape[1] - (0 if of_positives is None else remembered)
        sums = _Sums(found, distances, of_positives, candidates, term, batch)
        alike = candidates.negative.unique(dim=0, return_inverse=True)[1]
        with full_precision(distances.device):
            for anchors in alike.argsort(stable=True).split(alike.bincount().tolist()):
                sums.add(anchors)

    return sum_enumerated(distances, of_positives, add)


class _Sides(NamedTuple):
    """A value for each distance of the triplets of A anchors with K positives and n negatives.

    Attributes:
        positive: `[A, K]`, for d_ap.
        negative: `[A, n]`, for d_an.
        other: `[K, n]`, for d_pn; None without `swap`. Derivatives may be of the first negatives only: `[K, m]`.
    """

    positive: Tensor
    negative: Tensor
    other: Tensor | None

    def of(self, some: slice) -> _Sides:
        """Those of some positives."""
        return _Sides(self.positive[:, some], self.negative, None if self.other is None else self.other[some])


class _Sums:
    """Adds the triplets of anchors to sums."""

    def __init__(
        self,
        found: Enumerated,
        distances: Tensor,
        of_positives: Tensor | None,
        candidates: Candidates,
        term: TripletTerm,
        batch: int,
    ) -> None:
        """Begin; derivatives by the distances between photos from `batch` on are left out."""
        self.found, self.batch = found, batch
        self.distances, self.of_positives, self.candidates, self.term = distances, of_positives, candidates, term
        self.factors = Factors.of(distances if of_positives is None else of_positives, term)
        self.buffers = distances.new_empty(3, 0)

    def add(self, anchors: Tensor) -> None:
        """Add all triplets of some anchors that have the same negatives: int64 `[a]`, rows of `distances`."""
        columns = self.candidates.negative[anchors[0]].nonzero()[:, 0]
        if len(columns) == 0:
            return
        d = self.distances.index_select(0, anchors)
        times = torch.zeros_like(d)  # how often a photo is a positive
        times.scatter_add_(1, self.candidates.positive[anchors], self.candidates.mask[anchors].to(d.dtype))
        rows, every = times.any(dim=0).nonzero()[:, 0], self.of_positives
        d_pn = None if every is None else every.index_select(0, rows).index_select(1, columns)
        values = _Sides(d.index_select(1, rows), d.index_select(1, columns), d_pn)
        by_an, slope = torch.zeros_like(values.negative), torch.zeros_like(d)
        block = self._block(values.negative, min(max(1, BLOCK // len(columns)), len(rows)))
        own, own_columns = (int((each < self.batch).sum()) for each in (rows, columns))
        for part, needed in ((slice(0, own), columns), (slice(own, len(rows)), columns[:own_columns])):
            if len(rows[part]) == 0:
                continue
            by_pn = None if d_pn is None else d.new_zeros(len(rows[part]), len(needed))
            slopes = _Sides(torch.zeros_like(values.positive[:, part]), by_an, by_pn)
            self._add_blocks(block, values.of(part), slopes, times.index_select(1, rows[part]))
            slope.index_copy_(1, rows[part], slopes.positive)
            if by_pn is not None and self.found.slope_pn is not None:
                into = self.found.slope_pn if part.start == 0 else self.found.slope_pn[:, : self.batch]
                whole = d.new_zeros(len(by_pn), into.shape[1]).index_copy_(1, needed, by_pn)
                into.index_add_(0, rows[part], whole, alpha=-0.5)
        slope.index_add_(1, columns, by_an, alpha=-0.5)
        self.found.slope.index_copy_(0, anchors, slope)

    def _add_blocks(self, block: Directly | Factored, values: _Sides, slopes: _Sides, times: Tensor) -> None:
        """Add the triplets of positives that are listed so many times, `[A, K]`."""
        step = max(1, BLOCK // values.negative.shape[1])
        for some in (slice(start, start + step) for start in range(0, times.shape[1], step)):
            part, listed = values.of(some), times[:, some]
            for layer in range(int(listed.max())):  # a positive that is listed twice counts twice
                counted = part.positive.masked_fill(listed <= layer, -torch.inf)
                _add_block(block, part._replace(positive=counted), slopes.of(some))
                block.add_to(self.found)

    def _block(self, d_an: Tensor, positives: int) -> Directly | Factored:
        size = positives * d_an.shape[1] + MULTIPLE
        if self.buffers.shape[1] < size:
            self.buffers = d_an.new_empty(3, size)
        if self.factors is None:
            return Directly(self.term, d_an, self.buffers)
        return Factored(self.factors, d_an, self.buffers)


def _add_block(block: Directly | Factored, d: _Sides, slopes: _Sides) -> None:
    """Add the derivatives of the triplets of A anchors with K positives, one anchor after the other.

    Args:
        block: computes them.
        d: distances; a positive at −∞ does not count.
        slopes: the derivatives by d_ap, and twice those by −d_an and −d_pn.
    """
    block.start(d.positive, d.other)
    slope, nearer = block.slope, block.spare
    photos, positives = slope.new_ones(slope.shape[1]), slope.new_ones(len(slope))
    by_negative, by_nearer = slope.T, nearer.T
    for anchor, (d_an, by_ap, by_an) in enumerate(zip(d.negative, slopes.positive, slopes.negative, strict=True)):
        block.compute(anchor)
        by_ap.addmv_(slope, photos)
        if d.other is None or slopes.other is None:
            by_an.addmv_(by_negative, positives, alpha=2)
            continue
        # 1 if the anchor is nearer to the negative, −1 if the positive is; at 0 each gets half of the slope
        torch.sub(d.other, d_an, out=nearer).sign_().mul_(slope)
        by_an.addmv_(by_negative, positives).addmv_(by_nearer, positives)
        width = slopes.other.shape[1]
        slopes.other.add_(slope[:, :width]).sub_(nearer[:, :width])
