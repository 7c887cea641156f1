"""Loss `triplet`."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from siamesekit.components.batches import checked_batch
from siamesekit.components.distances.distance import DistanceLike, as_distance, pairwise
from siamesekit.components.labels import Labels
from siamesekit.components.losses.batch_all import TripletSum, batch_all, batch_all_of
from siamesekit.components.losses.each_triplet import sum_over_triplets
from siamesekit.components.losses.log_sum_exp import log_one_plus_exp
from siamesekit.components.losses.loss import LossValue
from siamesekit.components.losses.pair_distances import pair_distances
from siamesekit.components.losses.remembered import remembered_distances
from siamesekit.components.losses.triplet_blocks import sum_over_blocks
from siamesekit.components.losses.triplet_terms import TripletTerm
from siamesekit.components.tuples import (
    Candidates,
    Pairs,
    Tuples,
    all_candidates,
    as_triplets,
    candidates_of,
    count_triplets_of,
)
from siamesekit.options import NonNegative
from siamesekit.registry import LOSSES

Reduction = Literal["sum", "mean", "mean-nonzero"]
# the same as in batch_all.py: the type of an option must be known without importing torch
Mining = Literal["all", "hard", "semi-hard"]
TripletHinge = Literal["linear", "squared", "soft"]

ENUMERATED = 1 << 20
"""Number of triplets up to which those of pairs are enumerated, which rounds the least."""
MANY = 32
"""Number of positives of an anchor from which `triplet_blocks` is faster than `each_triplet`."""


def triplet_loss(d_ap: Tensor, d_an: Tensor, margin: float, hinge: TripletHinge = "linear") -> Tensor:
    """max(d_ap − d_an + margin, 0) of each triplet, or its square: `[T]`, `[T]` → `[T]`, at least 0.

    Schroff, Kalenichenko, Philbin 2015 (arXiv:1503.03832), equation 3. `soft` is log(1 + exp(d_ap − d_an + margin)),
    which approaches the hinge far from the margin and never reaches 0: Hermans, Beyer, Leibe 2017 (arXiv:1703.07737),
    section 2, with a margin of 0.

    >>> d_ap, d_an = torch.tensor([1.0, 1.0, 1.0]), torch.tensor([0.5, 1.5, 3.0])
    >>> triplet_loss(d_ap, d_an, margin=1.0)  # a negative nearer than the positive, within the margin, beyond it
    tensor([1.5000, 0.5000, 0.0000])
    """
    violation = d_ap - d_an + margin
    if hinge == "soft":
        return log_one_plus_exp(violation)
    return violation.relu() if hinge == "linear" else violation.relu().square()  # relu: gradient 0 at 0


def mined(d_ap: Tensor, d_an: Tensor, margin: float, mining: Mining) -> Tensor:
    """The mask of triplets that `mining` admits: `[T]`, `[T]` → bool `[T]`.

    `all` triplets; `hard`, those with d_an ≤ d_ap; `semi-hard`, those with d_ap < d_an < d_ap + margin.
    """
    if mining == "all":
        return torch.ones_like(d_an, dtype=torch.bool)
    return d_an <= d_ap if mining == "hard" else (d_ap < d_an) & (d_an < d_ap + margin)


@LOSSES.register("triplet")
class TripletLoss:
    """Triplet loss: each anchor should be nearer to its positive than to its negative by a margin.

    Embeddings `[N, D]`, labels `[N]`, T triplets → the sum or the mean of max(d_ap − d_an + margin, 0) over the
    triplets that `mining` admits. Without triplets, the loss is over *all* triplets of the batch, exactly and in O(N²)
    memory, without enumerating them (`losses.batch_all`). `swap` and the `soft` hinge need enumeration, in O(N² K) time
    for K photos per individual: a few anchors at a time (`losses.each_triplet`), or with many positives, as those of a
    memory, a block of an anchor's triplets (`losses.triplet_blocks`). Pairs are joined to triplets: every
    positive with every negative of its anchor; very many, as with `cross-batch-memory`, are computed in the same ways.
    The loss is 0 without triplets.

    Args:
        margin: margin in units of the distance.
        reduction: the objective: `sum` over the triplets of the batch; `mean`; or `mean-nonzero`, the mean over the
            triplets with a loss above 0.
        mining: `all` triplets; `hard`, those with d_an ≤ d_ap; or `semi-hard`, with d_ap < d_an < d_ap + margin.
        hinge: `linear`; `squared`, its square; or `soft`, log(1 + exp(d_ap − d_an + margin)), the soft margin of
            Hermans et al. 2017 (arXiv:1703.07737), who set the margin to 0.
        swap: whether d_an is the smaller of the distances of the negative from the anchor and from the positive, also
            for `mining`: Balntas et al. 2016 (BMVC), "anchor swap".
        distance: a distance, its name, or a table with its name and options; supplied by the run.
    """

    __module__ = "siamesekit"

    takes_remembered = True

    def __init__(
        self,
        margin: NonNegative = 1.0,
        reduction: Reduction = "mean",
        mining: Mining = "all",
        hinge: TripletHinge = "linear",
        swap: bool = False,
        *,
        distance: DistanceLike = "squared-euclidean",
    ) -> None:
        self.margin = margin
        self.reduction = reduction
        self.mining: Mining = mining
        self.hinge: TripletHinge = hinge
        self.swap = swap
        self.distance = as_distance(distance)

    def out_of_reach(self, least: float, greatest: float) -> str | None:
        """A message about a margin that distances from `least` to `greatest` cannot differ by; None if they can."""
        if self.hinge != "soft" and self.margin > greatest - least:
            return f"margin = {self.margin:g} is above {greatest - least:g}: every triplet has a loss"
        return None

    def __call__(
        self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None, remembered: int = 0
    ) -> LossValue:
        """The loss of a batch, in float32 or better, whatever the precision of the encoder.

        The last `remembered` embeddings are no anchors; with `swap` and very many pairs they receive no gradient.
        """
        embeddings, labels, tuples = checked_batch(embeddings, labels, tuples)
        if isinstance(tuples, Pairs) and count_triplets_of(tuples, len(embeddings)) > ENUMERATED:
            candidates = candidates_of(tuples, len(embeddings))
            if candidates is not None:
                return self._of_candidates(embeddings, candidates, remembered)
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
        """The losses, and the mask of triplets that `mining` admits, from distances whose shapes broadcast."""
        if self.swap:
            d_an = torch.minimum(d_an, d_pn)
        return triplet_loss(d_ap, d_an, self.margin, self.hinge), mined(d_ap, d_an, self.margin, self.mining)

    def _of_all(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        distances = pairwise(self.distance, embeddings, embeddings)
        if self.swap or self.hinge == "soft":
            return self._enumerated(distances, all_candidates(labels), distances if self.swap else None)
        return self._value(batch_all(distances, labels, self.margin, self.mining, self.hinge))

    def _of_candidates(self, embeddings: Tensor, candidates: Candidates, remembered: int) -> LossValue:
        every = None
        if self.swap:
            of_batch, every = remembered_distances(self.distance, embeddings, remembered)
            distances = of_batch.index_select(0, candidates.anchor)
        else:
            anchors = embeddings.index_select(0, candidates.anchor)
            distances = pairwise(self.distance, anchors, embeddings)
        if self.swap or self.hinge == "soft":
            return self._enumerated(distances, candidates, every, remembered)
        return self._value(batch_all_of(distances, candidates, self.margin, self.mining, self.hinge))

    def _enumerated(
        self, distances: Tensor, candidates: Candidates, every: Tensor | None, remembered: int = 0
    ) -> LossValue:
        if candidates.positive.shape[1] >= MANY:
            term = TripletTerm(self.margin, self.mining, self.hinge)
            return self._value(sum_over_blocks(distances, candidates, term, every, remembered))
        return self._value(sum_over_triplets(distances, candidates, self._of, every))

    def _value(self, sums: TripletSum) -> LossValue:
        total, triplets, active = sums
        some, with_loss = triplets.clamp_min(1), active.clamp_min(1)
        objective = total if self.reduction == "sum" else total / (some if self.reduction == "mean" else with_loss)
        return LossValue(objective, total.detach() / some, active.double() / some)
