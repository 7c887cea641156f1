"""Loss `triplet`."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from siamesekit.distances.distance import Distance
from siamesekit.losses.loss import LossValue
from siamesekit.options import NonNegative
from siamesekit.registry import LOSSES
from siamesekit.triplets import Triplets

Reduction = Literal["sum", "mean"]


def triplet_loss(d_ap: Tensor, d_an: Tensor, margin: float) -> Tensor:
    """max(d_ap − d_an + margin, 0) of each triplet: `[T]`, `[T]` → `[T]`, at least 0.

    Schroff, Kalenichenko, Philbin 2015 (arXiv:1503.03832), equation 3.
    """
    return (d_ap - d_an + margin).clamp_min(0)


@LOSSES.register("triplet")
class Triplet:
    """Triplet loss: each anchor nearer to its positive than to its negative, by a margin.

    Embeddings `[N, D]`, labels `[N]`, T triplets → the sum or the mean of max(d_ap − d_an + margin, 0).

    Args:
        margin: in the distance's units.
        reduction: what the gradient is of: the sum over the batch's triplets, or their mean.
        distance: supplied by the run.
    """

    def __init__(self, margin: NonNegative = 1.0, reduction: Reduction = "mean", *, distance: Distance) -> None:
        self.margin = margin
        self.reduction = reduction
        self.distance = distance

    def __call__(self, embeddings: Tensor, labels: Tensor, triplets: Triplets) -> LossValue:
        """The batch's loss; float32 or better, whatever precision the encoder runs in."""
        anchor, positive, negative = (embeddings[index] for index in triplets)
        losses = triplet_loss(self.distance(anchor, positive), self.distance(anchor, negative), self.margin)
        return LossValue(losses.sum() if self.reduction == "sum" else losses.mean(), losses)
