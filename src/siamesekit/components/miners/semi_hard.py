"""Miner `semi-hard`."""

from __future__ import annotations

import torch
from torch import Tensor

from siamesekit.components.batches import checked_batch
from siamesekit.components.distances.distance import DistanceLike, as_distance, in_finite_order, pairwise
from siamesekit.components.labels import Labels
from siamesekit.components.tuples import Triplets, positives_of
from siamesekit.registry import MINERS

CHUNK_ELEMENTS = 1 << 20
"""Number of distances that are sorted at a time."""


def semi_hard(distances: Tensor, labels: Tensor) -> Triplets:
    """Every positive pair with the nearest negative beyond the positive: `[N, N]`, int64 `[N]` → one triplet per pair.

    If no negative is farther than the positive, the farthest negative is taken. Schroff, Kalenichenko, Philbin 2015
    (arXiv:1503.03832), section 3.2, in TensorFlow's variant. The negatives of each anchor are sorted, in O(N² log N)
    time and O(N²) memory. Distances may be infinite; NaN is farther than infinity.
    """
    distances = in_finite_order(distances)  # so that infinity can mark excluded photos
    index, mask = positives_of(labels)
    chosen = []
    step = max(1, CHUNK_ELEMENTS // max(1, len(labels)))
    for anchors in torch.arange(len(labels), device=labels.device).split(step):
        own = labels[anchors][:, None] == labels
        negatives = (~own).sum(dim=1, keepdim=True)
        d_an, order = distances[anchors].masked_fill(own, torch.inf).sort(dim=1)
        beyond = torch.searchsorted(d_an, distances[anchors].gather(1, index[anchors]), right=True)
        negative = order.gather(1, torch.minimum(beyond, negatives - 1).clamp_min(0))
        row, column = (mask[anchors] & (negatives > 0)).nonzero(as_tuple=True)
        chosen.append(torch.stack([anchors[row], index[anchors][row, column], negative[row, column]]))
    return Triplets(*torch.cat(chosen, dim=1)) if chosen else Triplets(*index.new_zeros(3, 0))


@MINERS.register("semi-hard")
class SemiHardMiner:
    """Every positive pair of the batch, in both directions, with the nearest negative farther than the positive.

    If no negative is farther, the farthest one is taken. Embeddings `[N, D]`, individuals `[N]` → one triplet per pair.
    Schroff, Kalenichenko, Philbin 2015 (arXiv:1503.03832), section 3.2.

    Args:
        distance: a distance, its name, or a table with its name and options; supplied by the run.
    """

    __module__ = "siamesekit"

    def __init__(self, *, distance: DistanceLike = "squared-euclidean") -> None:
        self.distance = as_distance(distance)

    def __call__(self, embeddings: Tensor, labels: Labels) -> Triplets:
        """The triplets of embeddings `[N, D]` of individuals `[N]`."""
        embeddings, labels, _ = checked_batch(embeddings, labels)
        return semi_hard(pairwise(self.distance, embeddings, embeddings), labels)
