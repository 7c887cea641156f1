"""Miner `easy-positive`."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from siamesekit.batches import checked_batch
from siamesekit.distances.distance import DistanceLike, as_distance, in_finite_order, pairwise
from siamesekit.labels import Labels
from siamesekit.registry import MINERS
from siamesekit.triplets import Triplets, positives_of

Negatives = Literal["hard", "semi-hard", "easy"]


def easy_positive(distances: Tensor, labels: Tensor, negatives: Negatives) -> Triplets:
    """Each anchor with its nearest positive and one negative: `[N, N]`, int64 `[N]` → at most N triplets.

    Xuan, Stylianou, Pless 2020 (arXiv:1904.04370), section 3. Distances may be infinite; NaN is farther than infinity.

    Args:
        distances: between the N embeddings.
        labels: individuals.
        negatives: `hard`, the nearest; `semi-hard`, the nearest that is farther than the positive, and no triplet where
            there is none; `easy`, the farthest.
    """
    index, there = positives_of(labels)
    anchor = (there.any(dim=1) & (labels[:, None] != labels).any(dim=1)).nonzero()[:, 0]
    if len(anchor) == 0:
        return Triplets(anchor, anchor, anchor)
    lost = distances[anchor].isnan()
    distances = in_finite_order(distances[anchor])  # infinity is for what is left out
    index, there, own = index[anchor], there[anchor], labels[anchor][:, None] == labels
    nearest = distances.gather(1, index).masked_fill(~there, torch.inf).argmin(dim=1, keepdim=True)
    positive = index.gather(1, nearest)
    if negatives == "easy":
        return Triplets(anchor, positive[:, 0], distances.masked_fill(own, -torch.inf).argmax(dim=1))
    left_out = own
    if negatives == "semi-hard":  # a positive that is NaN keeps a negative: the loss of the triplet tells of it
        left_out = own | ((distances <= distances.gather(1, positive)) & ~lost.gather(1, positive))
    negative = distances.masked_fill(left_out, torch.inf).argmin(dim=1)
    found = ~left_out.gather(1, negative[:, None])[:, 0]
    return Triplets(anchor[found], positive[found, 0], negative[found])


@MINERS.register("easy-positive")
class EasyPositiveMiner:
    """Each photo of the batch as anchor, with its nearest positive and its nearest, or another, negative.

    An individual need not shrink to a point: each photo has to be near to one of the others only. Embeddings `[N, D]`,
    individuals `[N]` → at most N triplets. Xuan, Stylianou, Pless 2020 (arXiv:1904.04370).

    Args:
        negatives: `hard`, the nearest; `semi-hard`, the nearest that is farther than the positive, and no triplet where
            there is none; `easy`, the farthest.
        distance: a distance, its name, or a table with its name and options; the run's, in a run.
    """

    def __init__(self, negatives: Negatives = "semi-hard", *, distance: DistanceLike = "squared-euclidean") -> None:
        self.negatives: Negatives = negatives
        self.distance = as_distance(distance)

    def __call__(self, embeddings: Tensor, labels: Labels) -> Triplets:
        """The triplets of embeddings `[N, D]` of individuals `[N]`."""
        embeddings, labels, _ = checked_batch(embeddings, labels)
        return easy_positive(pairwise(self.distance, embeddings, embeddings), labels, self.negatives)
