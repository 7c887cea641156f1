"""Miner `semi-hard`."""

from __future__ import annotations

import torch
from torch import Tensor

from siamesekit.batches import checked_batch
from siamesekit.distances.distance import DistanceLike, as_distance, in_finite_order, pairwise
from siamesekit.labels import Labels
from siamesekit.registry import MINERS
from siamesekit.triplets import Triplets, positives_of

CHUNK_ELEMENTS = 1 << 20
"""So many distances are sorted at a time."""


def semi_hard(distances: Tensor, labels: Tensor) -> Triplets:
    """Every positive pair with its nearest negative beyond the positive: `[N, N]`, int64 `[N]` → a triplet each.

    Where no negative is farther than the positive, the farthest negative is taken. Schroff, Kalenichenko, Philbin 2015
    (arXiv:1503.03832), section 3.2, in the form that TensorFlow gave it. Negatives are sorted for each anchor:
    O(N² log N) time, O(N²) memory. Distances may be infinite; NaN is farther than infinity.
    """
    distances = in_finite_order(distances)  # infinity is for what is left out
    index, there = positives_of(labels)
    chosen = []
    step = max(1, CHUNK_ELEMENTS // max(1, len(labels)))
    for anchors in torch.arange(len(labels), device=labels.device).split(step):
        own = labels[anchors][:, None] == labels
        negatives = (~own).sum(dim=1, keepdim=True)
        d_an, order = distances[anchors].masked_fill(own, torch.inf).sort(dim=1)
        beyond = torch.searchsorted(d_an, distances[anchors].gather(1, index[anchors]), right=True)
        negative = order.gather(1, torch.minimum(beyond, negatives - 1).clamp_min(0))
        row, column = (there[anchors] & (negatives > 0)).nonzero(as_tuple=True)
        chosen.append(torch.stack([anchors[row], index[anchors][row, column], negative[row, column]]))
    return Triplets(*torch.cat(chosen, dim=1)) if chosen else Triplets(*index.new_zeros(3, 0))


@MINERS.register("semi-hard")
class SemiHardMiner:
    """Every positive pair of the batch, both ways round, with the nearest negative that is farther than the positive.

    Where there is none, the farthest negative. Embeddings `[N, D]`, individuals `[N]` → a triplet of each of the pairs.
    Schroff, Kalenichenko, Philbin 2015 (arXiv:1503.03832), section 3.2.

    Args:
        distance: a distance, its name, or a table with its name and options; the run's, in a run.
    """

    def __init__(self, *, distance: DistanceLike = "squared-euclidean") -> None:
        self.distance = as_distance(distance)

    def __call__(self, embeddings: Tensor, labels: Labels) -> Triplets:
        """The triplets of embeddings `[N, D]` of individuals `[N]`."""
        embeddings, labels, _ = checked_batch(embeddings, labels)
        return semi_hard(pairwise(self.distance, embeddings, embeddings), labels)
