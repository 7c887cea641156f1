"""Loss `triplet`."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from siamesekit.distances.distance import Distance, pairwise
from siamesekit.losses.batch_all import batch_all
from siamesekit.losses.loss import LossValue
from siamesekit.options import NonNegative
from siamesekit.registry import LOSSES
from siamesekit.triplets import Tuples, as_triplets

Reduction = Literal["sum", "mean", "mean-nonzero"]
# the same as in batch_all.py: an option's type has to be known without importing torch
Mining = Literal["all", "hard", "semi-hard"]
Hinge = Literal["linear", "squared"]


def triplet_loss(d_ap: Tensor, d_an: Tensor, margin: float) -> Tensor:
    """max(d_ap − d_an + margin, 0) of each triplet: `[T]`, `[T]` → `[T]`, at least 0.

    Schroff, Kalenichenko, Philbin 2015 (arXiv:1503.03832), equation 3.
    """
    return (d_ap - d_an + margin).clamp_min(0)


def mined(d_ap: Tensor, d_an: Tensor, margin: float, mining: Mining) -> Tensor:
    """Which triplets `mining` admits: `[T]`, `[T]` → bool `[T]`.

    All; `hard`, those with d_an ≤ d_ap; `semi-hard`, those with d_ap < d_an < d_ap + margin.
    """
    if mining == "all":
        return torch.ones_like(d_ap, dtype=torch.bool)
    return d_an <= d_ap if mining == "hard" else (d_ap < d_an) & (d_an < d_ap + margin)


@LOSSES.register("triplet")
class Triplet:
    """Triplet loss: each anchor nearer to its positive than to its negative, by a margin.

    Embeddings `[N, D]`, labels `[N]`, T triplets → the sum or the mean of max(d_ap − d_an + margin, 0) over those of
    them that `mining` admits. Without triplets it is over *all* triplets of the batch, exactly and without enumerating
    them (`siamesekit.losses.batch_all`). Where there is no triplet at all it is 0.

    Args:
        margin: in the distance's units.
        reduction: what the gradient is of: the sum over the batch's triplets, their mean, or the mean over those with
            a loss above 0.
        mining: `all` triplets; `hard`, those with d_an ≤ d_ap; or `semi-hard`, with d_ap < d_an < d_ap + margin.
        hinge: `linear`, or `squared`: the square of the above.
        distance: supplied by the run.
    """

    def __init__(
        self,
        margin: NonNegative = 1.0,
        reduction: Reduction = "mean",
        mining: Mining = "all",
        hinge: Hinge = "linear",
        *,
        distance: Distance,
    ) -> None:
        self.margin = margin
        self.reduction = reduction
        self.mining: Mining = mining
        self.hinge: Hinge = hinge
        self.distance = distance

    def __call__(self, embeddings: Tensor, labels: Tensor, tuples: Tuples | None) -> LossValue:
        """The batch's loss; float32 or better, whatever precision the encoder runs in."""
        triplets = as_triplets(tuples)
        if triplets is None:
            return self._of_all(embeddings, labels)
        # index_select: the gradient of embeddings[index] is summed in an order that differs from run to run
        anchor, positive, negative = (embeddings.index_select(0, index) for index in triplets)
        d_ap, d_an = self.distance(anchor, positive), self.distance(anchor, negative)
        losses = triplet_loss(d_ap, d_an, self.margin)
        if self.hinge == "squared":
            losses = losses.square()
        if self.mining != "all":
            losses = losses[mined(d_ap, d_an, self.margin, self.mining)]
        if len(losses) == 0:
            none = losses.sum()
            return LossValue(none, none.detach(), none.detach())
        active = losses.detach() > 0
        if self.reduction == "sum":
            objective = losses.sum()
        else:
            objective = losses.mean() if self.reduction == "mean" else losses.sum() / active.sum().clamp_min(1)
        return LossValue(objective, losses.detach().mean(), active.double().mean())

    def _of_all(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        distances = pairwise(self.distance, embeddings, embeddings)
        total, triplets, active = batch_all(distances, labels, self.margin, self.mining, self.hinge)
        some, with_loss = triplets.clamp_min(1), active.clamp_min(1)
        objective = total if self.reduction == "sum" else total / (some if self.reduction == "mean" else with_loss)
        return LossValue(objective, total.detach() / some, active.double() / some)
