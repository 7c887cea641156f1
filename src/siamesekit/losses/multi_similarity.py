"""Loss `multi-similarity`."""

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


def multi_similarity(positives: Tensor, negatives: Tensor, alpha: float, beta: float) -> Tensor:
    """log(1 + Σ exp α(λ − s)) / α over the positives + log(1 + Σ exp β(s − λ)) / β over the negatives, of each anchor.

    Wang et al. 2019 (arXiv:1904.06627), equation 15.

    Args:
        positives: `[N]`, the anchors' log-sum-exp of α(λ − s) over their positives.
        negatives: `[N]`, that of β(s − λ) over their negatives.
        alpha: as above.
        beta: as above.
    """
    return log_one_plus_exp(positives) / alpha + log_one_plus_exp(negatives) / beta


@LOSSES.register("multi-similarity")
class MultiSimilarityLoss:
    """Multi-similarity loss: the pairs of an anchor weighed by their similarity and by how it compares with others'.

    Embeddings `[N, D]`, labels `[N]`, pairs → the mean over all N photos of
    log(1 + Σ_p exp(−alpha (s_ap − base))) / alpha + log(1 + Σ_n exp(beta (s_an − base))) / beta, with the similarity
    s = 1 − d for any distance d: of `cosine`, the cosine. Without pairs it is over all of the batch, in O(N²) memory;
    of triplets it takes each distinct pair once. A photo that is nobody's anchor counts as 0. Wang et al. 2019
    (arXiv:1904.06627).

    Args:
        alpha: how much the least similar positives of an anchor outweigh its others.
        beta: how much the most similar negatives of an anchor outweigh its others.
        base: the similarity that positives should be above and negatives below.
        distance: a distance, its name, or a table with its name and options; the run's, in a run.
    """

    mean_over_photos = True

    def __init__(
        self,
        alpha: Positive = 2.0,
        beta: Positive = 50.0,
        base: float = 0.5,
        *,
        distance: DistanceLike = "squared-euclidean",
    ) -> None:
        self.alpha = alpha
        self.beta = beta
        self.base = base
        self.distance = as_distance(distance)

    def out_of_reach(self, least: float, greatest: float) -> str | None:
        """What base no similarity 1 − d is, of distances from `least` to `greatest`, in words; None where one is."""
        if not 1 - greatest <= self.base <= 1 - least:
            return f"base = {self.base:g} is no similarity: those are from {1 - greatest:g} to {1 - least:g}"
        return None

    def __call__(self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None) -> LossValue:
        """The batch's loss; float32 or better."""
        embeddings, labels, tuples = checked_batch(embeddings, labels, tuples)
        beyond = 1 - self.base  # the distance at which the similarity is `base`
        if tuples is None:
            excess = pairwise(self.distance, embeddings, embeddings) - beyond
            index, there = positives_of(labels)
            positives = log_sum_exp(self.alpha * excess.gather(1, index), there, dim=1)
            negatives = log_sum_exp(-self.beta * excess, labels[:, None] != labels, dim=1)
        else:
            anchor, positive, other_anchor, negative = as_pairs(tuples, labels)
            d_ap = pair_distances(self.distance, embeddings, anchor, positive)
            d_an = pair_distances(self.distance, embeddings, other_anchor, negative)
            positives = log_sum_exp_by(self.alpha * (d_ap - beyond), anchor, len(embeddings))
            negatives = log_sum_exp_by(-self.beta * (d_an - beyond), other_anchor, len(embeddings))
        return mean_of(multi_similarity(positives, negatives, self.alpha, self.beta))
