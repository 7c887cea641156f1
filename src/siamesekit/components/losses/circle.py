"""Loss `circle`, by pairs."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Gt, Lt
from torch import Tensor

from siamesekit.components.batches import checked_batch
from siamesekit.components.distances.distance import as_distance
from siamesekit.components.labels import Labels
from siamesekit.components.losses.circle_logits import negative_logits, positive_logits
from siamesekit.components.losses.class_cosines import class_cosines
from siamesekit.components.losses.log_sum_exp import log_one_plus_exp, log_sum_exp, log_sum_exp_by
from siamesekit.components.losses.loss import LossValue, mean_of
from siamesekit.components.losses.pair_distances import pair_distances
from siamesekit.components.tuples import Tuples, as_pairs, positives_of
from siamesekit.options import Positive
from siamesekit.registry import LOSSES

Relaxation = Annotated[float, Gt(-1), Lt(1)]


@LOSSES.register("circle")
class CircleLoss:
    """Circle loss by pairs: each cosine is weighted by its distance from its optimum.

    Embeddings `[N, D]`, labels `[N]`, pairs → the mean of log(1 + Σₚ exp(−scale αₚ (sₚ − 1 + margin)) ·
    Σₙ exp(scale αₙ (sₙ − margin))) over the photos with a positive and a negative; sₚ and sₙ are the cosines with its
    positives and negatives, αₚ = max(1 + margin − sₚ, 0) and αₙ = max(sₙ + margin, 0), without gradient. The loss is 0
    if there is no such photo. It measures by the cosine; it ignores the run's distance. Without pairs, the loss is over
    all pairs of the batch, in O(N²) memory; each distinct pair of triplets counts once. Sun et al. 2020
    (arXiv:2002.10857), equation 6; the version with classes is `circle-classes`.

    Args:
        margin: relaxation m: positives should have a cosine above 1 − m, negatives below m. 0.4 as in the paper's
            fine-grained retrieval.
        scale: γ, factor of the logits.
    """

    __module__ = "siamesekit"

    measures_by = "cosine"

    def __init__(self, margin: Relaxation = 0.4, scale: Positive = 80.0) -> None:
        self.margin = margin
        self.scale = scale

    def __call__(self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None) -> LossValue:
        """The loss of a batch, in float32 or better."""
        embeddings, labels, tuples = checked_batch(embeddings, labels, tuples)
        if tuples is None:
            cosines = class_cosines(embeddings, embeddings)
            index, mask = positives_of(labels)
            apart = labels[:, None] != labels
            own = positive_logits(cosines.gather(1, index), self.margin, self.scale)
            positives = log_sum_exp(own, mask, dim=1)
            negatives = log_sum_exp(negative_logits(cosines, self.margin, self.scale), apart, dim=1)
            both = mask.any(1) & apart.any(1)
        else:
            anchor, positive, other_anchor, negative = as_pairs(tuples, labels)
            count = len(embeddings)
            cosine = as_distance("cosine")
            near = 1 - pair_distances(cosine, embeddings, anchor, positive)
            far = 1 - pair_distances(cosine, embeddings, other_anchor, negative)
            positives = log_sum_exp_by(positive_logits(near, self.margin, self.scale), anchor, count)
            negatives = log_sum_exp_by(negative_logits(far, self.margin, self.scale), other_anchor, count)
            both = torch.isin(torch.arange(count, device=labels.device), anchor)
            both &= torch.isin(torch.arange(count, device=labels.device), other_anchor)
        return mean_of(log_one_plus_exp((positives + negatives)[both]))
