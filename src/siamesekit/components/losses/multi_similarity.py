"""Loss `multi-similarity`."""

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


def multi_similarity(positives: Tensor, negatives: Tensor, alpha: float, beta: float) -> Tensor:
    """log(1 + Σ exp α(λ − s)) / α over the positives + log(1 + Σ exp β(s − λ)) / β over the negatives of each anchor.

    Wang et al. 2019 (arXiv:1904.06627), equation 15.

    Args:
        positives: `[N]`, log-sum-exp of α(λ − s) over the positives of each anchor.
        negatives: `[N]`, log-sum-exp of β(s − λ) over the negatives of each anchor.
        alpha: α above.
        beta: β above.
    """
    return log_one_plus_exp(positives) / alpha + log_one_plus_exp(negatives) / beta


@LOSSES.register("multi-similarity")
class MultiSimilarityLoss:
    """Multi-similarity loss: each pair is weighted by its own similarity and relative to the anchor's other pairs.

    Embeddings `[N, D]`, labels `[N]`, pairs → the mean over all N photos of
    log(1 + Σ_p exp(−alpha (s_ap − base))) / alpha + log(1 + Σ_n exp(beta (s_an − base))) / beta, with the similarity
    s = 1 − d of any distance d; for `cosine` it is the cosine. Without pairs, the loss is over all pairs of the batch,
    in O(N²) memory; each distinct pair of triplets counts once. A photo that is not an anchor counts as 0. Wang et
    al. 2019 (arXiv:1904.06627).

    Args:
        alpha: sharpness for positives: how much the least similar positives of an anchor outweigh the others.
        beta: sharpness for negatives: how much the most similar negatives of an anchor outweigh the others.
        base: similarity that positives should exceed and negatives should stay below.
        distance: a distance, its name, or a table with its name and options; supplied by the run.
    """

    __module__ = "siamesekit"

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
        """A message about a base outside the similarities 1 − d, for d from `least` to `greatest`; None if inside."""
        if not 1 - greatest <= self.base <= 1 - least:
            return f"base = {self.base:g} is not a similarity, which is from {1 - greatest:g} to {1 - least:g}"
        return None

    def __call__(self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None) -> LossValue:
        """The loss of a batch, in float32 or better."""
        embeddings, labels, tuples = checked_batch(embeddings, labels, tuples)
        beyond = 1 - self.base  # the distance at which the similarity is `base`
        if tuples is None:
            excess = pairwise(self.distance, embeddings, embeddings) - beyond
            index, mask = positives_of(labels)
            positives = log_sum_exp(self.alpha * excess.gather(1, index), mask, dim=1)
            negatives = log_sum_exp(-self.beta * excess, labels[:, None] != labels, dim=1)
        else:
            anchor, positive, other_anchor, negative = as_pairs(tuples, labels)
            d_ap = pair_distances(self.distance, embeddings, anchor, positive)
            d_an = pair_distances(self.distance, embeddings, other_anchor, negative)
            positives = log_sum_exp_by(self.alpha * (d_ap - beyond), anchor, len(embeddings))
            negatives = log_sum_exp_by(-self.beta * (d_an - beyond), other_anchor, len(embeddings))
        return mean_of(multi_similarity(positives, negatives, self.alpha, self.beta))
