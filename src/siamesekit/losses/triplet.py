"""Loss `triplet`."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from siamesekit.batches import checked_batch
from siamesekit.distances.distance import DistanceLike, as_distance, pairwise
from siamesekit.labels import Labels
from siamesekit.losses.batch_all import TripletSum, batch_all, batch_all_of
from siamesekit.losses.each_triplet import sum_over_triplets
from siamesekit.losses.log_sum_exp import log_one_plus_exp
from siamesekit.losses.loss import LossValue
from siamesekit.losses.pair_distances import pair_distances
from siamesekit.options import NonNegative
from siamesekit.registry import LOSSES
from siamesekit.triplets import (
    Candidates,
    Pairs,
    Tuples,
    all_candidates,
    as_triplets,
    candidates_of,
    count_triplets_of,
)

Reduction = Literal["sum", "mean", "mean-nonzero"]
# the same as in batch_all.py: an option's type has to be known without importing torch
Mining = Literal["all", "hard", "semi-hard"]
Hinge = Literal["linear", "squared", "soft"]

ENUMERATED = 1 << 20
"""Up to so many triplets of pairs are enumerated, which rounds the least."""


def triplet_loss(d_ap: Tensor, d_an: Tensor, margin: float, hinge: Hinge = "linear") -> Tensor:
    """max(d_ap − d_an + margin, 0) of each triplet, or its square: `[T]`, `[T]` → `[T]`, at least 0.

    Schroff, Kalenichenko, Philbin 2015 (arXiv:1503.03832), equation 3. `soft` is log(1 + exp(d_ap − d_an + margin)),
    which nears the hinge far from the margin and never stops pulling: Hermans, Beyer, Leibe 2017 (arXiv:1703.07737),
    section 2, there with a margin of 0.

    >>> d_ap, d_an = torch.tensor([1.0, 1.0, 1.0]), torch.tensor([0.5, 1.5, 3.0])
    >>> triplet_loss(d_ap, d_an, margin=1.0)  # a negative nearer than the positive, within the margin, beyond it
    tensor([1.5000, 0.5000, 0.0000])
    """
    violation = d_ap - d_an + margin
    if hinge == "soft":
        return log_one_plus_exp(violation)
    return violation.relu() if hinge == "linear" else violation.relu().square()  # at 0 no gradient in any PyTorch


def mined(d_ap: Tensor, d_an: Tensor, margin: float, mining: Mining) -> Tensor:
    """Which triplets `mining` admits: `[T]`, `[T]` → bool `[T]`.

    All; `hard`, those with d_an ≤ d_ap; `semi-hard`, those with d_ap < d_an < d_ap + margin.
    """
    if mining == "all":
        return torch.ones_like(d_an, dtype=torch.bool)
    return d_an <= d_ap if mining == "hard" else (d_ap < d_an) & (d_an < d_ap + margin)


@LOSSES.register("triplet")
class TripletLoss:
    """Triplet loss: each anchor nearer to its positive than to its negative, by a margin.

    Embeddings `[N, D]`, labels `[N]`, T triplets → the sum or the mean of max(d_ap − d_an + margin, 0) over those of
    them that `mining` admits. Without triplets it is over *all* triplets of the batch, exactly and in O(N²) memory:
    without enumerating them (`siamesekit.losses.batch_all`), or with `swap` or a `soft` hinge, for which there is no
    such way, a few anchors at a time, in O(N² K) time where an individual has K photos
    (`siamesekit.losses.each_triplet`). Of pairs it is over every positive with every negative of its anchor, in these
    ways where those are very many: with the memory of `cross-batch-memory`, say. Where there is no triplet at all it
    is 0.

    Args:
        margin: in the distance's units.
        reduction: what the gradient is of: the sum over the batch's triplets, their mean, or the mean over those with
            a loss above 0.
        mining: `all` triplets; `hard`, those with d_an ≤ d_ap; or `semi-hard`, with d_ap < d_an < d_ap + margin.
        hinge: `linear`; `squared`, the square of the above; or `soft`, log(1 + exp(d_ap − d_an + margin)), the soft
            margin of Hermans et al. 2017 (arXiv:1703.07737), who set the margin to 0.
        swap: whether d_an is the lesser of the negative's distances from the anchor and from the positive, for
            `mining` too: Balntas et al. 2016 (BMVC), "anchor swap".
        distance: a distance, its name, or a table with its name and options; the run's, in a run.
    """

    def __init__(
        self,
        margin: NonNegative = 1.0,
        reduction: Reduction = "mean",
        mining: Mining = "all",
        hinge: Hinge = "linear",
        swap: bool = False,
        *,
        distance: DistanceLike = "squared-euclidean",
    ) -> None:
        self.margin = margin
        self.reduction = reduction
        self.mining: Mining = mining
        self.hinge: Hinge = hinge
        self.swap = swap
        self.distance = as_distance(distance)

    def out_of_reach(self, least: float, greatest: float) -> str | None:
        """What margin no distances from `least` to `greatest` differ by, in words; None where some do."""
        if self.hinge != "soft" and self.margin > greatest - least:
            return f"margin = {self.margin:g} is above {greatest - least:g}, so every triplet costs"
        return None

    def __call__(self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None) -> LossValue:
        """The batch's loss; float32 or better, whatever precision the encoder runs in."""
        embeddings, labels, tuples = checked_batch(embeddings, labels, tuples)
        if isinstance(tuples, Pairs) and count_triplets_of(tuples, len(embeddings)) > ENUMERATED:
            candidates = candidates_of(tuples, len(embeddings))
            if candidates is not None:
                return self._of_candidates(embeddings, candidates)
        triplets = as_triplets(tuples)
        if triplets is None:
            return self._of_all(embeddings, labels)
        anchor, positive, negative = triplets
        d_ap = pair_distances(self.distance, embeddings, anchor, positive)
        d_an = pair_distances(self.distance, embeddings, anchor, negative)
        d_pn = pair_distances(self.distance, embeddings, positive, negative) if self.swap else d_an
        losses, admitted = self._of(d_ap, d_an, d_pn)
        if self.mining != "all":
            losses = losses[admitted]
        if len(losses) == 0:
            none = losses.sum()
            return LossValue(none, none.detach(), none.detach())
        active = losses.detach() > 0
        if self.reduction == "sum":
            objective = losses.sum()
        else:
            objective = losses.mean() if self.reduction == "mean" else losses.sum() / active.sum().clamp_min(1)
        return LossValue(objective, losses.detach().mean(), active.double().mean())

    def _of(self, d_ap: Tensor, d_an: Tensor, d_pn: Tensor) -> tuple[Tensor, Tensor]:
        """Losses, and which `mining` admits, of distances whose shapes broadcast."""
        if self.swap:
            d_an = torch.minimum(d_an, d_pn)
        return triplet_loss(d_ap, d_an, self.margin, self.hinge), mined(d_ap, d_an, self.margin, self.mining)

    def _of_all(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        distances = pairwise(self.distance, embeddings, embeddings)
        if self.swap or self.hinge == "soft":
            every = distances if self.swap else None
            return self._value(sum_over_triplets(distances, all_candidates(labels), self._of, every))
        return self._value(batch_all(distances, labels, self.margin, self.mining, self.hinge))

    def _of_candidates(self, embeddings: Tensor, candidates: Candidates) -> LossValue:
        every = pairwise(self.distance, embeddings, embeddings) if self.swap else None
        if every is None:
            anchors = embeddings.index_select(0, candidates.anchor)
            distances = pairwise(self.distance, anchors, embeddings)
        else:
            distances = every.index_select(0, candidates.anchor)
        if self.swap or self.hinge == "soft":
            return self._value(sum_over_triplets(distances, candidates, self._of, every))
        return self._value(batch_all_of(distances, candidates, self.margin, self.mining, self.hinge))

    def _value(self, sums: TripletSum) -> LossValue:
        total, triplets, active = sums
        some, with_loss = triplets.clamp_min(1), active.clamp_min(1)
        objective = total if self.reduction == "sum" else total / (some if self.reduction == "mean" else with_loss)
        return LossValue(objective, total.detach() / some, active.double() / some)
