"""Miner `gulls-nearest-negative`."""

from __future__ import annotations

import torch
from torch import Tensor

from siamesekit import MINERS, Distance, Triplets, pairwise, positives_of


@MINERS.register("gulls-nearest-negative")
class NearestNegative:
    """Every positive pair with its anchor's nearest negative: embeddings `[N, D]`, labels `[N]` → triplets.

    Args:
        distance: supplied by the run.
    """

    def __init__(self, *, distance: Distance) -> None:
        self.distance = distance

    def __call__(self, embeddings: Tensor, labels: Tensor) -> Triplets:
        """One triplet for each ordered positive pair; none if all photos show one individual."""
        index, mask = positives_of(labels)
        other = labels[:, None] != labels
        anchor, column = (mask & other.any(dim=1, keepdim=True)).nonzero(as_tuple=True)
        distances = pairwise(self.distance, embeddings, embeddings).masked_fill(~other, torch.inf)
        nearest = distances.argmin(dim=1) if len(labels) else labels
        return Triplets(anchor, index[anchor, column], nearest[anchor])
