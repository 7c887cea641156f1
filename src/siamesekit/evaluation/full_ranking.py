"""Figures of whole rankings: mean average precision, mean reciprocal rank, and the cumulative match curve.

They need the rank of every relevant photo, among the whole gallery of each query. `MOST_COMPARISONS` bounds that
work; `retrieval_metrics` has no such bound.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from siamesekit.components.distances.distance import Distance, DistanceLike, as_distance
from siamesekit.components.labels import Labels, labels_of
from siamesekit.evaluation.intervals import Floats
from siamesekit.evaluation.protocol import Protocol
from siamesekit.evaluation.retrieval import NEIGHBOURS, hits_of

MOST_COMPARISONS = 20_000_000
"""Most pairs of a query and a gallery photo that are ranked: those of 4,472 photos among each other."""
CURVE = 20
"""Number of ranks of the cumulative match curve."""


class FullRanking(NamedTuple):
    """Values per query, float64 `[Q]`, NaN for a query without a relevant photo.

    Attributes:
        average_precision: mean over the R relevant photos of the precision at their ranks.
        reciprocal_rank: 1 / rank of the first relevant photo.
        first_rank: rank of the first relevant photo, from 1; ∞ if all relevant photos are at NaN distances.
    """

    average_precision: Floats
    reciprocal_rank: Floats
    first_rank: Floats

    def match_curve(self, ranks: int = CURVE) -> list[float]:
        """Share of queries whose first relevant photo is among the first k, for k = 1 … `ranks` (CMC)."""
        first = self.first_rank[~np.isnan(self.first_rank)]
        return [float((first <= k).mean()) for k in range(1, ranks + 1)]


def full_ranking(
    embeddings: Tensor, labels: Labels, distance: DistanceLike, protocol: Protocol | None = None
) -> FullRanking | None:
    """Rank the whole gallery for each query; None if there are more than `MOST_COMPARISONS` pairs.

    Args:
        embeddings: embeddings `[N, D]` of all photos.
        labels: labels `[N]` of all photos.
        distance: distance by which photos are ranked: a distance, its name, or a table with its name and options.
        protocol: queries and gallery; by default each photo is searched among all others.

    >>> from siamesekit.components.distances.euclidean import euclidean
    >>> place = torch.tensor([[0.0], [1.0], [3.0], [3.5]])  # on a line
    >>> full_ranking(place, torch.tensor([5, 8, 5, 8]), euclidean).average_precision.round(3)
    array([0.5  , 0.333, 0.333, 0.5  ])
    """
    distance = as_distance(distance)
    labels = labels_of(embeddings, labels)
    protocol = protocol or Protocol.leave_one_out(len(labels))
    hits = all_hits(embeddings, labels, distance, protocol)
    return None if hits is None else ranking_of(hits, protocol.relevant(labels))


def all_hits(embeddings: Tensor, labels: Tensor, distance: Distance, protocol: Protocol) -> Tensor | None:
    """Whether each rank of the whole gallery shows the query's individual, bool `[Q, G]`, nearest first.

    Queries without a relevant photo are not ranked and have no hit. Arguments and None are those of `full_ranking`.
    """
    relevant, gallery = protocol.relevant(labels), len(protocol.gallery)
    if len(relevant) * gallery > MOST_COMPARISONS:
        return None
    found = torch.zeros(len(relevant), gallery, dtype=torch.bool)
    for rows in (relevant > 0).nonzero()[:, 0].split(_at_once(gallery)):
        hit = hits_of(embeddings, labels, protocol, rows, gallery, distance)
        found[rows, : hit.shape[1]] = hit
    return found


def ranking_of(hits: Tensor, relevant: Tensor) -> FullRanking:
    """The figures of whole rankings from their hits, bool `[Q, G]`, and the relevant photos of each query, `[Q]`."""
    table = torch.full((len(relevant), 3), torch.nan, dtype=torch.float64)
    rank = torch.arange(1, hits.shape[1] + 1)
    for rows in (relevant > 0).nonzero()[:, 0].split(_at_once(hits.shape[1])):
        hit = hits[rows].double()
        precision = hit.cumsum(dim=1).div_(rank).mul_(hit)
        first = torch.where(hits[rows].any(dim=1), (hits[rows].byte().argmax(dim=1) + 1).double(), torch.inf)
        table[rows] = torch.stack([precision.sum(dim=1) / relevant[rows], 1 / first, first], dim=1)
    return FullRanking(*table.T.numpy())


def _at_once(gallery: int) -> int:
    return max(1, NEIGHBOURS // max(1, gallery))
