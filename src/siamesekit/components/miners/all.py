"""Miner `all`."""

from __future__ import annotations

import torch
from torch import Tensor

from siamesekit.components.batches import checked_batch
from siamesekit.components.labels import Labels
from siamesekit.components.tuples import Triplets, by_individual, positives_of
from siamesekit.registry import MINERS


def all_triplets(labels: Tensor) -> Triplets:
    """Every anchor with every positive and every negative, by anchor: labels int64 `[N]` → T triplets.

    Takes O(N K) memory beside the T triplets, K being the largest number of photos of an individual.
    """
    order, start, size = by_individual(labels)
    index, mask = positives_of(labels)
    anchor, column = mask.nonzero(as_tuple=True)
    positive = index[anchor, column]
    negatives = len(labels) - size[anchor]
    first = negatives.cumsum(0) - negatives
    place = torch.arange(int(negatives.sum()), device=labels.device) - first.repeat_interleave(negatives)
    anchor, positive = anchor.repeat_interleave(negatives), positive.repeat_interleave(negatives)
    # negatives by individual: all photos but those of the anchor's individual, which are contiguous
    return Triplets(anchor, positive, order[place + torch.where(place >= start[anchor], size[anchor], 0)])


@MINERS.register("all")
class AllTripletsMiner:
    """Every triplet of the batch, enumerated. The loss `triplet` uses all triplets without this miner.

    Embeddings `[N, D]`, individuals `[N]` → about N²K triplets for K photos per individual.
    """

    __module__ = "siamesekit"

    def __call__(self, embeddings: Tensor, labels: Labels) -> Triplets:
        """All triplets of individuals `[N]`."""
        embeddings, labels, _ = checked_batch(embeddings, labels)
        return all_triplets(labels)
