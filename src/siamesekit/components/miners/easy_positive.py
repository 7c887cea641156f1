"""Miner `easy-positive`."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from siamesekit.components.batches import checked_batch
from siamesekit.components.distances.distance import DistanceLike, as_distance, in_finite_order, pairwise
from siamesekit.components.labels import Labels
from siamesekit.components.tuples import Triplets, positives_of
from siamesekit.registry import MINERS

Negatives = Literal["hard", "semi-hard", "easy"]


def easy_positive(distances: Tensor, labels: Tensor, negatives: Negatives) -> Triplets:
    """Each anchor with its nearest positive and one negative: `[N, N]`, int64 `[N]` → at most N triplets.

    Xuan, Stylianou, Pless 2020 (arXiv:1904.04370), section 3. Distances may be infinite; NaN is farther than infinity.

    Args:
        distances: distances between the N embeddings.
        labels: individuals.
        negatives: `hard`, the nearest negative; `semi-hard`, the nearest one that is farther than the positive, or no
            triplet without one; `easy`, the farthest negative.
    """
    index, mask = positives_of(labels)
    anchor = (mask.any(dim=1) & (labels[:, None] != labels).any(dim=1)).nonzero()[:, 0]
    if len(anchor) == 0:
        return Triplets(anchor, anchor, anchor)
    lost = distances[anchor].isnan()
    distances = in_finite_order(distances[anchor])  # so that infinity can mark excluded photos
    index, mask, own = index[anchor], mask[anchor], labels[anchor][:, None] == labels
    nearest = distances.gather(1, index).masked_fill(~mask, torch.inf).argmin(dim=1, keepdim=True)
    positive = index.gather(1, nearest)
    if negatives == "easy":
        return Triplets(anchor, positive[:, 0], distances.masked_fill(own, -torch.inf).argmax(dim=1))
    left_out = own
    if negatives == "semi-hard":  # a NaN positive keeps a negative, so that the loss of the triplet becomes NaN
        left_out = own | ((distances <= distances.gather(1, positive)) & ~lost.gather(1, positive))
    negative = distances.masked_fill(left_out, torch.inf).argmin(dim=1)
    found = ~left_out.gather(1, negative[:, None])[:, 0]
    return Triplets(anchor[found], positive[found, 0], negative[found])


@MINERS.register("easy-positive")
class EasyPositiveMiner:
    """Each photo of the batch as an anchor, with its nearest positive and one negative.

    The photos of an individual need not collapse to a point: each one must be near only one other. Embeddings
    `[N, D]`, individuals `[N]` → at most N triplets. Xuan, Stylianou, Pless 2020 (arXiv:1904.04370).

    Args:
        negatives: `hard`, the nearest negative; `semi-hard`, the nearest one that is farther than the positive, or no
            triplet without one; `easy`, the farthest negative.
        distance: a distance, its name, or a table with its name and options; supplied by the run.
    """

    __module__ = "siamesekit"

    def __init__(self, negatives: Negatives = "semi-hard", *, distance: DistanceLike = "squared-euclidean") -> None:
        self.negatives: Negatives = negatives
        self.distance = as_distance(distance)

    def __call__(self, embeddings: Tensor, labels: Labels) -> Triplets:
        """The triplets of embeddings `[N, D]` of individuals `[N]`."""
        embeddings, labels, _ = checked_batch(embeddings, labels)
        return easy_positive(pairwise(self.distance, embeddings, embeddings), labels, self.negatives)
