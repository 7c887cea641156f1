"""Miner `distance-weighted`."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Gt, Lt
from torch import Tensor

from siamesekit.components.batches import checked_batch
from siamesekit.components.distances.distance import unit
from siamesekit.components.labels import Labels
from siamesekit.components.tuples import Triplets, positives_of
from siamesekit.errors import ComponentError
from siamesekit.registry import MINERS

Chord = Annotated[float, Gt(0), Lt(2)]
"""A distance between two points of the unit sphere. The weight is infinite at 2, the distance of opposite points."""


def log_weights(distances: Tensor, dimensions: int, cutoff: float) -> Tensor:
    """log(1 / q(d)) up to a constant: distances `[...]`, 0 ≤ d < 2 → `[...]`.

    q(d) ∝ d^(D − 2) · (1 − d² / 4)^((D − 3) / 2) is the density of the distance between two points drawn uniformly on
    the unit sphere in D dimensions. Wu et al. 2017 (arXiv:1706.07567), section 4.

    Args:
        distances: distances between points of the unit sphere.
        dimensions: D.
        cutoff: smaller distances are raised to this one, since their weights are unbounded.
    """
    d = distances.clamp_min(cutoff)
    return (2 - dimensions) * d.log() - (dimensions - 3) / 2 * torch.log1p(-d.square() / 4)


def negative_weights(embeddings: Tensor, labels: Tensor, cutoff: float, upper_cutoff: float) -> Tensor:
    """The probability of each photo as the negative of each anchor: `[N, D]`, int64 `[N]` → float64 `[N, N]`.

    Rows sum to 1, or to 0 without negatives. Negatives at a distance of at least `upper_cutoff` have probability 0; if
    all negatives of an anchor are that far, they are equally likely. Takes O(N²) memory.
    """
    embeddings = unit(embeddings.double())
    distances = (2 - 2 * embeddings @ embeddings.T).clamp_min(0).sqrt()
    negative = labels[:, None] != labels
    within = negative & (distances < upper_cutoff)
    logs = log_weights(distances, embeddings.shape[1], cutoff).where(within, -torch.inf)
    logs = logs.where(within.any(dim=1, keepdim=True), torch.where(negative, 0.0, -torch.inf))
    return logs.softmax(dim=1).nan_to_num(0)


def distance_weighted(embeddings: Tensor, labels: Tensor, cutoff: float, upper_cutoff: float) -> Triplets:
    """Every positive pair with a negative drawn by `negative_weights`: `[N, D]`, int64 `[N]` → one triplet per pair."""
    index, mask = positives_of(labels)
    sums = negative_weights(embeddings, labels, cutoff, upper_cutoff).cumsum(dim=1)
    # on the CPU, so that draws are the same on every device
    drawn = torch.rand(index.shape, dtype=torch.float64).to(sums.device) * sums[:, -1:]
    last = (sums < sums[:, -1:]).sum(
        dim=1, keepdim=True
    )  # a draw that rounds up to the total belongs to the last negative
    negative = torch.searchsorted(sums, drawn, right=True).minimum(last)
    anchor, column = (mask & (sums[:, -1:] > 0)).nonzero(as_tuple=True)
    return Triplets(anchor, index[anchor, column], negative[anchor, column])


@MINERS.register("distance-weighted")
class DistanceWeightedMiner:
    """Every positive pair of the batch, in both directions, with a negative drawn so that distances are equally likely.

    Most negatives of an anchor are about as far as random points on a sphere. The probability of a negative is the
    inverse of the density of its distance on the unit sphere (`log_weights`), so that near negatives are drawn as
    often as far ones. Embeddings `[N, D]`, scaled to length 1, individuals `[N]` → one triplet per pair. Distances are
    Euclidean, whatever the run's distance. Draws come from torch's global generator. Wu et al. 2017
    (arXiv:1706.07567), section 4.

    Args:
        cutoff: smaller distances count as this one: 0 < cutoff < 2.
        upper_cutoff: negatives at this distance or farther, where a margin loss is 0, are not drawn. If all negatives
            of an anchor are that far, they are equally likely. cutoff < upper_cutoff < 2.
    """

    __module__ = "siamesekit"

    def __init__(self, cutoff: Chord = 0.5, upper_cutoff: Chord = 1.4) -> None:
        if cutoff >= upper_cutoff:
            raise ComponentError(
                f"miner 'distance-weighted': cutoff {cutoff} must be less than upper_cutoff {upper_cutoff}"
            )
        self.cutoff = cutoff
        self.upper_cutoff = upper_cutoff

    def __call__(self, embeddings: Tensor, labels: Labels) -> Triplets:
        """The triplets of embeddings `[N, D]` of individuals `[N]`."""
        embeddings, labels, _ = checked_batch(embeddings, labels)
        return distance_weighted(embeddings, labels, self.cutoff, self.upper_cutoff)
