"""Miner `distance-weighted`."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Gt, Lt
from torch import Tensor

from siamesekit.batches import checked_batch
from siamesekit.distances.distance import unit
from siamesekit.errors import ComponentError
from siamesekit.labels import Labels
from siamesekit.registry import MINERS
from siamesekit.triplets import Triplets, positives_of

Chord = Annotated[float, Gt(0), Lt(2)]
"""A distance between two points of the unit sphere; 2 itself, of opposite points, has no finite weight."""


def log_weights(distances: Tensor, dimensions: int, cutoff: float) -> Tensor:
    """Logarithms of 1 / q(d), to within a constant: distances `[...]`, 0 ≤ d < 2 → `[...]`.

    q(d) ∝ d^(D − 2) · (1 − d² / 4)^((D − 3) / 2) is the density of the distance between two points drawn uniformly on
    the unit sphere in D dimensions. Wu et al. 2017 (arXiv:1706.07567), section 4.

    Args:
        distances: between points of the unit sphere.
        dimensions: D.
        cutoff: a lesser distance counts as this one, or its weight would know no bound.
    """
    d = distances.clamp_min(cutoff)
    return (2 - dimensions) * d.log() - (dimensions - 3) / 2 * torch.log1p(-d.square() / 4)


def negative_weights(embeddings: Tensor, labels: Tensor, cutoff: float, upper_cutoff: float) -> Tensor:
    """How likely each photo is drawn as each anchor's negative: `[N, D]`, int64 `[N]` → float64 `[N, N]`.

    Rows sum to 1, or to 0 without any negative. Negatives as far as `upper_cutoff` or farther have none, but where
    all of an anchor's are as far they are all as likely. Memory is O(N²).
    """
    embeddings = unit(embeddings.double())
    distances = (2 - 2 * embeddings @ embeddings.T).clamp_min(0).sqrt()
    negative = labels[:, None] != labels
    within = negative & (distances < upper_cutoff)
    logs = log_weights(distances, embeddings.shape[1], cutoff).where(within, -torch.inf)
    logs = logs.where(within.any(dim=1, keepdim=True), torch.where(negative, 0.0, -torch.inf))
    return logs.softmax(dim=1).nan_to_num(0)


def distance_weighted(embeddings: Tensor, labels: Tensor, cutoff: float, upper_cutoff: float) -> Triplets:
    """Every positive pair with a negative drawn by `negative_weights`: `[N, D]`, int64 `[N]` → a triplet each."""
    index, there = positives_of(labels)
    sums = negative_weights(embeddings, labels, cutoff, upper_cutoff).cumsum(dim=1)
    # on the CPU, so that a run draws the same on every device
    drawn = torch.rand(index.shape, dtype=torch.float64).to(sums.device) * sums[:, -1:]
    last = (sums < sums[:, -1:]).sum(dim=1, keepdim=True)  # a number rounded up to the whole sum is of the last one
    negative = torch.searchsorted(sums, drawn, right=True).minimum(last)
    anchor, column = (there & (sums[:, -1:] > 0)).nonzero(as_tuple=True)
    return Triplets(anchor, index[anchor, column], negative[anchor, column])


@MINERS.register("distance-weighted")
class DistanceWeightedMiner:
    """Every positive pair of the batch, both ways round, with a negative drawn so that all distances are as frequent.

    Most negatives of an anchor are about as far as random points on a sphere are. Here a negative's probability is
    inverse to how frequent its distance is on the unit sphere (`log_weights`), so that near ones are drawn as often.
    Embeddings `[N, D]`, scaled to length 1 for it, individuals `[N]` → a triplet of each of the pairs; the distances
    are Euclidean, whatever the run's. Random numbers are torch's. Wu et al. 2017 (arXiv:1706.07567), section 4.

    Args:
        cutoff: a negative that is nearer than this counts as being as far: 0 < cutoff < 2.
        upper_cutoff: a negative that is as far or farther, for which a margin loss is 0, is not drawn, except where all
            of an anchor's are as far: then all are as likely. cutoff < upper_cutoff < 2.
    """

    def __init__(self, cutoff: Chord = 0.5, upper_cutoff: Chord = 1.4) -> None:
        if cutoff >= upper_cutoff:
            raise ComponentError(f"miner 'distance-weighted': cutoff {cutoff} must be less than upper_cutoff "
                                 f"{upper_cutoff}")  # fmt: skip
        self.cutoff = cutoff
        self.upper_cutoff = upper_cutoff

    def __call__(self, embeddings: Tensor, labels: Labels) -> Triplets:
        """Triplets of embeddings `[N, D]` of individuals `[N]`."""
        embeddings, labels, _ = checked_batch(embeddings, labels)
        return distance_weighted(embeddings, labels, self.cutoff, self.upper_cutoff)
