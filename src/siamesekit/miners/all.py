"""Miner `all`."""

from __future__ import annotations

import torch
from torch import Tensor

from siamesekit.batches import checked_batch
from siamesekit.labels import Labels
from siamesekit.registry import MINERS
from siamesekit.triplets import Triplets, by_individual, positives_of


def all_triplets(labels: Tensor) -> Triplets:
    """Every anchor with every positive and every negative, by anchor: labels int64 `[N]` → T triplets.

    O(N K) memory beside the T triplets, K being the most photos that an individual has.
    """
    order, start, size = by_individual(labels)
    index, there = positives_of(labels)
    anchor, column = there.nonzero(as_tuple=True)
    positive = index[anchor, column]
    negatives = len(labels) - size[anchor]
    first = negatives.cumsum(0) - negatives
    place = torch.arange(int(negatives.sum()), device=labels.device) - first.repeat_interleave(negatives)
    anchor, positive = anchor.repeat_interleave(negatives), positive.repeat_interleave(negatives)
    # the negatives in order of their individuals: all but the anchor's own, which stand in a row
    return Triplets(anchor, positive, order[place + torch.where(place >= start[anchor], size[anchor], 0)])


@MINERS.register("all")
class AllTripletsMiner:
    """Every triplet of the batch, enumerated; the loss `triplet` needs no miner for that.

    Embeddings `[N, D]`, individuals `[N]` → about N²K triplets, where an individual has K photos.
    """

    def __call__(self, embeddings: Tensor, labels: Labels) -> Triplets:
        """All triplets of individuals `[N]`."""
        embeddings, labels, _ = checked_batch(embeddings, labels)
        return all_triplets(labels)
