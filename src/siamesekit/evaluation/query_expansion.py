"""Query expansion: a query is replaced by a mean of itself and its nearest photos, and searched again."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from siamesekit.components.distances.distance import DistanceLike, as_distance, unit
from siamesekit.components.distances.nearest import nearest
from siamesekit.errors import UserError
from siamesekit.hardware.float32 import at_least_float32

UNIT = 1e-3
"""Largest difference of a length from 1 of embeddings that count as of length 1."""


@dataclass(frozen=True)
class QueryExpansion:
    """How a query is expanded.

    Attributes:
        photos: number of nearest photos that are averaged with the query, at least 1.
        alpha: a photo weighs by its cosine similarity to the query, at least 0, to this power. 0: each weighs as much
            as the query (Chum et al. 2007); 3 is usual for αQE (Radenović, Tolias and Chum 2019, arXiv:1711.02512).

    Raises:
        UserError: a number is out of range.
    """

    __module__ = "siamesekit"

    photos: int = 5
    alpha: float = 3.0

    def __post_init__(self) -> None:
        if self.photos < 1:
            raise UserError(f"query expansion: photos must be at least 1, not {self.photos}")
        if not 0 <= self.alpha < float("inf"):
            raise UserError(f"query expansion: alpha must be at least 0 and finite, not {self.alpha}")


def expand_queries(
    queries: Tensor,
    gallery: Tensor,
    distance: DistanceLike,
    expansion: QueryExpansion = QueryExpansion(),
) -> Tensor:
    """Expand each query `[Q, D]` by its nearest photos in a gallery `[N, D]`: `[Q, D]`.

    If all photos of the gallery have length 1, so have the expanded queries.

    >>> gallery = torch.tensor([[1.0, 1.0], [1.0, 3.0], [9.0, 9.0]])
    >>> expand_queries(torch.tensor([[1.0, 2.0]]), gallery, "euclidean", QueryExpansion(2, alpha=0.0))
    tensor([[1., 2.]])
    """
    found = nearest(queries, gallery, expansion.photos, as_distance(distance))
    return weighted_mean(queries, gallery[found.index], expansion.alpha, of_unit_length(gallery))


def weighted_mean(queries: Tensor, photos: Tensor, alpha: float, unit_length: bool) -> Tensor:
    """Mean of each query `[Q, D]`, with weight 1, and photos `[Q, n, D]`, with weight max(cos, 0)^alpha: `[Q, D]`.

    Args:
        queries: embeddings.
        photos: embeddings of the photos of each query.
        alpha: power of the cosine similarity.
        unit_length: whether the means are scaled to length 1.
    """
    queries, photos = at_least_float32(queries), at_least_float32(photos)
    cosine = (unit(photos) * unit(queries)[:, None]).sum(-1).clamp_min(0)
    weight = cosine**alpha if alpha else torch.ones_like(cosine)
    total = queries + (weight[..., None] * photos).sum(1)
    return unit(total) if unit_length else total / (1 + weight.sum(1, keepdim=True))


def of_unit_length(embeddings: Tensor) -> bool:
    """Whether all embeddings `[N, D]` have length 1, up to rounding."""
    return bool((at_least_float32(embeddings).norm(dim=1) - 1).abs().max() <= UNIT) if len(embeddings) else False
