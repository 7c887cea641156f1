"""Loss `gulls-margin-ranking`."""

from __future__ import annotations

from torch import Tensor

from siamesekit import LOSSES, Distance, LossValue, Tuples, as_pairs, pairwise
from siamesekit.options import NonNegative


@LOSSES.register("gulls-margin-ranking")
class MarginRanking:
    """Margin ranking loss: positive pairs must be nearer on average than negative pairs, by a margin.

    Embeddings `[N, D]`, labels `[N]`, pairs → max(mean d⁺ − mean d⁻ + margin, 0).

    Args:
        margin: margin in units of the distance.
        distance: supplied by the run.
    """

    def __init__(self, margin: NonNegative = 0.5, *, distance: Distance) -> None:
        self.margin = margin
        self.distance = distance

    def __call__(self, embeddings: Tensor, labels: Tensor, tuples: Tuples | None) -> LossValue:
        """The batch's loss."""
        pairs = as_pairs(tuples, labels)
        distances = pairwise(self.distance, embeddings, embeddings)
        positive = distances[pairs.anchor, pairs.positive]
        negative = distances[pairs.other_anchor, pairs.negative]
        if len(positive) == 0 or len(negative) == 0:
            nothing = embeddings.sum() * 0
            return LossValue(nothing, nothing.detach(), nothing.detach())
        loss = (positive.mean() - negative.mean() + self.margin).clamp_min(0)
        return LossValue(loss, loss.detach(), (loss.detach() > 0).double())
