"""Distances of listed pairs, in no more memory than the distance matrix of their anchors."""

from __future__ import annotations

import torch
from torch import Tensor

from siamesekit.components.distances.distance import Distance, pairwise
from siamesekit.hardware.float32 import at_least_float32, full_precision

ROWS_UP_TO = 1 << 20
"""Number of coordinates up to which the rows of all pairs are gathered, which rounds the least."""


def pair_distances(distance: Distance, embeddings: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The distances of `embeddings[first]` from `embeddings[second]`: `[N, D]`, int64 `[P]`, `[P]` → `[P]`.

    Computed in float32 or better, without autocast (`full_precision`). Few pairs are computed row by row. Many pairs
    are read from the distance's `pairwise` matrix of the A distinct photos in `first` and all N, if its A N distances
    take less memory than P D coordinates; the result then has the rounding of that matrix.
    """
    embeddings = at_least_float32(embeddings)
    count, coordinates = len(embeddings), len(first) * embeddings.shape[1]
    if coordinates > ROWS_UP_TO and hasattr(distance, "pairwise"):
        is_anchor = torch.zeros(count, dtype=torch.bool, device=first.device)
        is_anchor[first] = True
        anchors = is_anchor.nonzero()[:, 0]
        if len(anchors) * count < coordinates:
            matrix = pairwise(distance, embeddings.index_select(0, anchors), embeddings)
            row = is_anchor.cumsum(0)[first] - 1
            return matrix.flatten().index_select(0, row * count + second)
    with full_precision(embeddings.device):
        # index_select: the gradient of embeddings[index] is summed in a nondeterministic order
        return distance(embeddings.index_select(0, first), embeddings.index_select(0, second))
