"""Loss `info-nce`."""

from __future__ import annotations

from torch import Tensor

from siamesekit.components.batches import checked_batch
from siamesekit.components.distances.distance import DistanceLike, as_distance, pairwise
from siamesekit.components.labels import Labels
from siamesekit.components.losses.log_sum_exp import log_one_plus_exp, log_sum_exp, log_sum_exp_by
from siamesekit.components.losses.loss import LossValue, mean_of
from siamesekit.components.losses.pair_distances import pair_distances
from siamesekit.components.tuples import Tuples, as_pairs, positives_of
from siamesekit.options import Positive
from siamesekit.registry import LOSSES


def info_nce(positive: Tensor, negatives: Tensor) -> Tensor:
    """−log(eˢ / (eˢ + Σ eⁿ)) from the logits s of positive pairs and the log-sum-exp of their negatives, at least 0.

    `[...]`, `[...]` → `[...]`, shapes broadcast. Van den Oord, Li, Vinyals 2018 (arXiv:1807.03748), equation 4.

    With two equally likely answers, the right one has a probability of 1/2:

    >>> import torch
    >>> info_nce(torch.tensor(3.0), torch.tensor(3.0)).exp()
    tensor(2.)
    """
    return log_one_plus_exp(negatives - positive)


@LOSSES.register("info-nce")
class InfoNCELoss:
    """InfoNCE, or NT-Xent: classification of each positive among the negatives of its anchor.

    Embeddings `[N, D]`, labels `[N]`, pairs → the mean over the positive pairs (a, p) of
    −log(exp(−d_ap / T) / (exp(−d_ap / T) + Σ_n exp(−d_an / T))), n over the negatives of a. With the distance `cosine`
    this is NT-Xent (Chen et al. 2020, arXiv:2002.05709): −d differs from cos by a constant, which cancels. With one
    positive pair per individual it has the form of the N-pair loss (Sohn 2016, NeurIPS).

    Without pairs, the loss is over all pairs of the batch, in both directions, in O(N²) memory; each distinct pair of
    triplets counts once. The loss is 0 without positive pairs; a positive pair without negatives has a loss of 0.

    Args:
        temperature: T above. The smaller it is, the more the nearest negatives count.
        distance: a distance, its name, or a table with its name and options; supplied by the run.
    """

    __module__ = "siamesekit"

    def __init__(self, temperature: Positive = 0.07, *, distance: DistanceLike = "squared-euclidean") -> None:
        self.temperature = temperature
        self.distance = as_distance(distance)

    def __call__(self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None) -> LossValue:
        """The loss of a batch, in float32 or better."""
        embeddings, labels, tuples = checked_batch(embeddings, labels, tuples)
        if tuples is None:
            logits = pairwise(self.distance, embeddings, embeddings) / -self.temperature
            index, mask = positives_of(labels)
            negatives = log_sum_exp(logits, labels[:, None] != labels, dim=1)
            return mean_of(info_nce(logits.gather(1, index), negatives[:, None])[mask])
        anchor, positive, other_anchor, negative = as_pairs(tuples, labels)
        positives = pair_distances(self.distance, embeddings, anchor, positive) / -self.temperature
        logits = pair_distances(self.distance, embeddings, other_anchor, negative) / -self.temperature
        negatives = log_sum_exp_by(logits, other_anchor, len(embeddings))
        return mean_of(info_nce(positives, negatives.index_select(0, anchor)))
