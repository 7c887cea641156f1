"""Loss `contrastive`."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from siamesekit.components.batches import checked_batch
from siamesekit.components.distances.distance import DistanceLike, as_distance, pairwise, range_of
from siamesekit.components.labels import Labels
from siamesekit.components.losses.loss import LossValue
from siamesekit.components.losses.pair_distances import pair_distances
from siamesekit.components.tuples import Pairs, Tuples, as_pairs, by_individual, positives_of
from siamesekit.errors import ComponentError
from siamesekit.registry import LOSSES

Reduction = Literal["sum", "mean", "mean-nonzero"]
PairHinge = Literal["linear", "squared"]


def contrastive_loss(distances: Tensor, margin: float, hinge: PairHinge, positive: bool) -> Tensor:
    """max(d − margin, 0) of positive pairs, max(margin − d, 0) of negative ones, or the squares: `[P]` → `[P]`.

    Hadsell, Chopra, LeCun 2006 (CVPR), equation 4, has half the squares, with a positive margin of 0.

    >>> distances = torch.tensor([0.25, 2.0])
    >>> contrastive_loss(distances, margin=0.0, hinge="linear", positive=True)
    tensor([0.2500, 2.0000])
    >>> contrastive_loss(distances, margin=1.0, hinge="linear", positive=False)
    tensor([0.7500, 0.0000])
    """
    losses = (distances - margin if positive else margin - distances).relu()
    return losses if hinge == "linear" else losses.square()


class _PairSum(NamedTuple):
    """The summed loss of pairs, with gradient; the number of pairs; and the number of pairs with a loss above 0."""

    total: Tensor
    pairs: Tensor
    active: Tensor


@LOSSES.register("contrastive")
class ContrastiveLoss:
    """Contrastive loss: positive pairs nearer than one margin, negative pairs farther than another.

    Embeddings `[N, D]`, labels `[N]`, pairs → max(d − positive_margin, 0) of positive pairs and
    max(negative_margin − d, 0) of negative pairs. Without pairs, the loss is over all pairs of the batch, in both
    directions, in O(N²) memory; each distinct pair of triplets counts once. The loss is 0 without pairs. Hadsell,
    Chopra, LeCun 2006 (CVPR).

    The reported loss is the mean over positive pairs plus the mean over negative pairs.

    Args:
        positive_margin: distance up to which a positive pair has no loss. The default is the least distance of
            embeddings of length 1: 0, or −1 for `dot`. Other embeddings need a margin for `dot`, which has no minimum.
        negative_margin: distance from which a negative pair has no loss. For `dot`, 0 is 90 degrees.
        hinge: `linear` or `squared`; the paper has half the squares.
        reduction: the objective: `sum` over all pairs; `mean` over positive pairs plus `mean` over negative pairs; or
            `mean-nonzero`, with means over the pairs with a loss above 0, so that easy negatives do not dilute it.
        distance: a distance, its name, or a table with its name and options; supplied by the run.

    Raises:
        ComponentError: a margin is below the range of the distance, or no positive pair can exceed its margin.
    """

    __module__ = "siamesekit"

    def __init__(
        self,
        positive_margin: float | None = None,
        negative_margin: float = 1.0,
        hinge: PairHinge = "linear",
        reduction: Reduction = "mean-nonzero",
        *,
        distance: DistanceLike = "squared-euclidean",
    ) -> None:
        distance = as_distance(distance)
        least, greatest = range_of(distance) or (-math.inf, math.inf)
        for name, margin in (("positive_margin", positive_margin), ("negative_margin", negative_margin)):
            if margin is not None and not margin >= least:  # also true for NaN
                raise ComponentError(
                    f"loss 'contrastive': {name} = {margin:g} is below {least:g}, the least value of the distance"
                )
        if positive_margin is not None and positive_margin >= greatest:
            raise ComponentError(
                f"loss 'contrastive': positive_margin = {positive_margin:g} affects no positive pair: "
                f"the distance is at most {greatest:g}"
            )
        if positive_margin is None:
            nearest, _ = range_of(distance, unit_length=True) or (0.0, math.inf)
            positive_margin = nearest if math.isfinite(nearest) else 0.0
            if positive_margin > least and range_of(distance) is not None:
                self.assumes_unit_length = "positive_margin"
        self.positive_margin = positive_margin
        self.negative_margin = negative_margin
        self.hinge: PairHinge = hinge
        self.reduction = reduction
        self.distance = distance

    def out_of_reach(self, least: float, greatest: float) -> str | None:
        """A message about a margin that no distance from `least` to `greatest` reaches; None if there is none."""
        if self.negative_margin > greatest:
            return f"negative_margin = {self.negative_margin:g} is above {greatest:g}: every negative pair has a loss"
        return None

    def __call__(self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None) -> LossValue:
        """The loss of a batch, in float32 or better."""
        embeddings, labels, tuples = checked_batch(embeddings, labels, tuples)
        sums = self._of_all(embeddings, labels) if tuples is None else self._of(embeddings, as_pairs(tuples, labels))
        means = [total / pairs.clamp_min(1) for total, pairs, _ in sums]
        if self.reduction == "sum":
            objective = sums[0].total + sums[1].total
        elif self.reduction == "mean":
            objective = means[0] + means[1]
        else:
            of_active = [total / active.clamp_min(1) for total, _, active in sums]
            objective = of_active[0] + of_active[1]
        pairs, active = sums[0].pairs + sums[1].pairs, sums[0].active + sums[1].active
        return LossValue(objective, (means[0] + means[1]).detach(), active.double() / pairs.clamp_min(1))

    def _of(self, embeddings: Tensor, pairs: Pairs) -> tuple[_PairSum, _PairSum]:
        d_ap = pair_distances(self.distance, embeddings, pairs.anchor, pairs.positive)
        d_an = pair_distances(self.distance, embeddings, pairs.other_anchor, pairs.negative)
        positive = contrastive_loss(d_ap, self.positive_margin, self.hinge, positive=True)
        negative = contrastive_loss(d_an, self.negative_margin, self.hinge, positive=False)
        counts = (torch.tensor(len(losses), device=losses.device) for losses in (positive, negative))
        return _sum(positive, next(counts)), _sum(negative, next(counts))

    def _of_all(self, embeddings: Tensor, labels: Tensor) -> tuple[_PairSum, _PairSum]:
        distances = pairwise(self.distance, embeddings, embeddings)
        index, mask = positives_of(labels)
        positive = contrastive_loss(distances.gather(1, index), self.positive_margin, self.hinge, positive=True)
        total, active = _OfNegatives.apply(distances, labels, self.negative_margin, self.hinge)
        _, _, size = by_individual(labels)
        negative = _PairSum(total, (len(labels) - size).sum(), active)
        return _sum(positive.masked_fill(~mask, 0), mask.sum()), negative


class _OfNegatives(torch.autograd.Function):
    """The loss of all negative pairs, with its gradient from the same matrix: twice as fast as autograd's steps."""

    @staticmethod
    def forward(ctx: Any, distances: Tensor, labels: Tensor, margin: float, hinge: PairHinge) -> tuple[Tensor, Tensor]:
        within = (margin - distances).masked_fill_(labels[:, None] == labels, 0).clamp_min_(0)
        active = within.count_nonzero()
        total = within.sum() if hinge == "linear" else within.square().sum()
        ctx.save_for_backward(within.sign_().neg_() if hinge == "linear" else within.mul_(-2))
        ctx.mark_non_differentiable(active)
        return total, active

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return slope * upstream, None, None, None


def _sum(losses: Tensor, pairs: Tensor) -> _PairSum:
    return _PairSum(losses.sum(), pairs, (losses.detach() > 0).sum())
