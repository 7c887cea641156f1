"""Loss `info-nce`."""

from __future__ import annotations

from torch import Tensor

from siamesekit.batches import checked_batch
from siamesekit.distances.distance import DistanceLike, as_distance, pairwise
from siamesekit.labels import Labels
from siamesekit.losses.log_sum_exp import log_one_plus_exp, log_sum_exp, log_sum_exp_by
from siamesekit.losses.loss import LossValue, mean_of
from siamesekit.losses.pair_distances import pair_distances
from siamesekit.options import Positive
from siamesekit.registry import LOSSES
from siamesekit.triplets import Tuples, as_pairs, positives_of


def info_nce(positive: Tensor, negatives: Tensor) -> Tensor:
    """−log(eˢ / (eˢ + Σ eⁿ)) of positive pairs' logits s and the log-sum-exp of their negatives': at least 0.

    `[...]`, `[...]` → `[...]`, shapes broadcast. Van den Oord, Li, Vinyals 2018 (arXiv:1807.03748), equation 4.

    Of two answers that are as likely, the right one has a probability of 1/2:

    >>> import torch
    >>> info_nce(torch.tensor(3.0), torch.tensor(3.0)).exp()
    tensor(2.)
    """
    return log_one_plus_exp(negatives - positive)


@LOSSES.register("info-nce")
class InfoNCELoss:
    """InfoNCE, or NT-Xent: each positive pair against all negatives of its anchor, as a classification.

    Embeddings `[N, D]`, labels `[N]`, pairs → the mean over the positive pairs (a, p) of
    −log(exp(−d_ap / T) / (exp(−d_ap / T) + Σ_n exp(−d_an / T))), n over the negatives of a. With the distance `cosine`
    that is NT-Xent (Chen et al. 2020, arXiv:2002.05709): −d differs from cos by a constant, which cancels. With one
    positive pair of each individual it has the form of the N-pair loss (Sohn 2016, NeurIPS).

    Without pairs it is over all of the batch, both ways round, in O(N²) memory; of triplets it takes each distinct pair
    once. Without any positive pair it is 0; a positive pair without negatives costs 0.

    Args:
        temperature: T above; the smaller, the more the nearest negatives count.
        distance: a distance, its name, or a table with its name and options; the run's, in a run.
    """

    def __init__(self, temperature: Positive = 0.07, *, distance: DistanceLike = "squared-euclidean") -> None:
        self.temperature = temperature
        self.distance = as_distance(distance)

    def __call__(self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None) -> LossValue:
        """The batch's loss; float32 or better."""
        embeddings, labels, tuples = checked_batch(embeddings, labels, tuples)
        if tuples is None:
            logits = pairwise(self.distance, embeddings, embeddings) / -self.temperature
            index, there = positives_of(labels)
            negatives = log_sum_exp(logits, labels[:, None] != labels, dim=1)
            return mean_of(info_nce(logits.gather(1, index), negatives[:, None])[there])
        anchor, positive, other_anchor, negative = as_pairs(tuples, labels)
        positives = pair_distances(self.distance, embeddings, anchor, positive) / -self.temperature
        logits = pair_distances(self.distance, embeddings, other_anchor, negative) / -self.temperature
        negatives = log_sum_exp_by(logits, other_anchor, len(embeddings))
        return mean_of(info_nce(positives, negatives.index_select(0, anchor)))
