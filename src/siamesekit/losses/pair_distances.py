"""Distances of listed pairs, in no more memory than the matrix of their anchors takes."""

from __future__ import annotations

import torch
from torch import Tensor

from siamesekit.distances.distance import Distance, at_least_float32, full_precision, pairwise

ROWS_UP_TO = 1 << 20
"""Up to so many coordinates the rows of all pairs are laid beside each other, which rounds the least."""


def pair_distances(distance: Distance, embeddings: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The distances of `embeddings[first]` from `embeddings[second]`: `[N, D]`, int64 `[P]`, `[P]` → `[P]`.

    In float32 or better, out of autocast's reach (`full_precision`). Of few pairs row by row. Of many, where that takes
    less memory, from the distance's own `pairwise` matrix of the A different photos in `first` and all N, so that P D
    coordinates become A N distances; it has that matrix's rounding.
    """
    embeddings = at_least_float32(embeddings)
    count, coordinates = len(embeddings), len(first) * embeddings.shape[1]
    if coordinates > ROWS_UP_TO and hasattr(distance, "pairwise"):
        asked = torch.zeros(count, dtype=torch.bool, device=first.device)
        asked[first] = True
        anchors = asked.nonzero()[:, 0]
        if len(anchors) * count < coordinates:
            matrix = pairwise(distance, embeddings.index_select(0, anchors), embeddings)
            row = asked.cumsum(0)[first] - 1
            return matrix.flatten().index_select(0, row * count + second)
    with full_precision(embeddings.device):
        # index_select: the gradient of embeddings[index] is summed in an order that differs from run to run
        return distance(embeddings.index_select(0, first), embeddings.index_select(0, second))
