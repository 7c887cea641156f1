"""Miner `batch-hard`."""

from __future__ import annotations

import torch
from torch import Tensor

from siamesekit.components.batches import checked_batch
from siamesekit.components.distances.distance import DistanceLike, as_distance, in_finite_order, pairwise
from siamesekit.components.labels import Labels
from siamesekit.components.tuples import Triplets, positives_of
from siamesekit.registry import MINERS


def batch_hard(distances: Tensor, labels: Tensor) -> Triplets:
    """Each anchor with its farthest positive and its nearest negative: `[N, N]`, int64 `[N]` → at most N triplets.

    Hermans, Beyer, Leibe 2017 (arXiv:1703.07737), section 2. A photo without a positive or a negative is no anchor.
    Distances may be infinite; NaN is farther than infinity.

    >>> place = torch.tensor([0.0, 1.0, 3.0, 4.0])  # points on a line; the first three show one individual
    >>> batch_hard((place[:, None] - place).abs(), torch.tensor([0, 0, 0, 1]))
    Triplets(anchor=tensor([0, 1, 2]), positive=tensor([2, 2, 0]), negative=tensor([3, 3, 3]))
    """
    distances = in_finite_order(distances)  # so that infinity can mark excluded photos
    index, mask = positives_of(labels)
    anchor = (mask.any(dim=1) & (labels[:, None] != labels).any(dim=1)).nonzero()[:, 0]
    if len(anchor) == 0:
        return Triplets(anchor, anchor, anchor)
    index, mask = index[anchor], mask[anchor]
    farthest = distances[anchor].gather(1, index).masked_fill(~mask, -torch.inf).argmax(dim=1, keepdim=True)
    others = distances[anchor].masked_fill(labels[anchor][:, None] == labels, torch.inf)
    return Triplets(anchor, index.gather(1, farthest)[:, 0], others.argmin(dim=1))


@MINERS.register("batch-hard")
class BatchHardMiner:
    """Each photo of the batch as an anchor, with its farthest positive and its nearest negative.

    Embeddings `[N, D]`, individuals `[N]` → at most N triplets. Hermans, Beyer, Leibe 2017 (arXiv:1703.07737).

    Args:
        distance: a distance, its name, or a table with its name and options; supplied by the run.
    """

    __module__ = "siamesekit"

    def __init__(self, *, distance: DistanceLike = "squared-euclidean") -> None:
        self.distance = as_distance(distance)

    def __call__(self, embeddings: Tensor, labels: Labels) -> Triplets:
        """The triplets of embeddings `[N, D]` of individuals `[N]`."""
        embeddings, labels, _ = checked_batch(embeddings, labels)
        return batch_hard(pairwise(self.distance, embeddings, embeddings), labels)
