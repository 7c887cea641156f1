"""Search by the neighbourhood: queries are expanded, and distances re-ranked by the neighbours that photos share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance, pairwise
from siamesekit.components.distances.nearest import nearest
from siamesekit.errors import UserError
from siamesekit.evaluation.intervals import Floats
from siamesekit.evaluation.query_expansion import QueryExpansion, of_unit_length, weighted_mean
from siamesekit.evaluation.re_ranking import KReciprocal, ReRanker

Rerank = KReciprocal | str
"""How a search is re-ranked: with options, or with the usual ones by its name, `k-reciprocal`."""
Expand = QueryExpansion | int
"""How a query is expanded: with options, or by so many photos."""


@dataclass(frozen=True)
class Refinement:
    """How distances of a search are refined by the catalogue's photos: at least one of both.

    Attributes:
        rerank: re-ranking by shared neighbours.
        expand: expansion of the query by its nearest photos; it comes first.
    """

    rerank: KReciprocal | None = None
    expand: QueryExpansion | None = None

    def __str__(self) -> str:
        parts = [] if self.expand is None else [f"query expansion by {self.expand.photos} photos"]
        return " and ".join(parts + ([] if self.rerank is None else ["k-reciprocal re-ranking"]))


def refinement_of(rerank: Rerank | None, expand: Expand | None) -> Refinement | None:
    """The refinement of a search; None without one.

    Raises:
        UserError: the re-ranking has no such name, or a number is out of range.
    """
    if isinstance(rerank, str):
        if rerank != "k-reciprocal":
            raise UserError(f"rerank: expected k-reciprocal, not {rerank!r}")
        rerank = KReciprocal()
    if isinstance(expand, int):
        expand = QueryExpansion(expand)
    return None if rerank is None and expand is None else Refinement(rerank, expand)


def expansion(photos: int | None, alpha: float) -> QueryExpansion | None:
    """An expansion by so many photos; None without any.

    Raises:
        UserError: a number is out of range.
    """
    return None if photos is None else QueryExpansion(photos, alpha)


class Refiner:
    """Refined distances of queries to the photos of one gallery.

    Args:
        gallery: embeddings `[N, D]`, at least one.
        distance: the model's distance.
        refinement: how.
    """

    def __init__(self, gallery: Tensor, distance: Distance, refinement: Refinement) -> None:
        self.gallery, self.distance, self.refinement = gallery, distance, refinement
        self._unit_length = of_unit_length(gallery)
        self._re_ranker = None if refinement.rerank is None else ReRanker(gallery, distance, refinement.rerank)

    def __call__(self, queries: Tensor, left_out: Sequence[NDArray[np.int64]] | None = None) -> Floats:
        """Distances `[Q, N]` of queries `[Q, D]`, each without the other queries.

        Args:
            queries: embeddings.
            left_out: photos that are not there for each query, by index; their distance is ∞.
        """
        if self.refinement.expand is not None:
            queries = self._expanded(queries, self.refinement.expand, left_out)
        if self._re_ranker is not None:
            return self._re_ranker(queries, left_out)
        found: Floats = pairwise(self.distance, queries, self.gallery).double().numpy()
        for row, photos in enumerate(left_out or ()):
            found[row, photos] = np.inf
        return found

    def _expanded(
        self, queries: Tensor, expand: QueryExpansion, left_out: Sequence[NDArray[np.int64]] | None
    ) -> Tensor:
        """Queries `[Q, D]`, expanded by photos that are there for them."""
        gone = left_out or [np.empty(0, np.int64)] * len(queries)
        most = expand.photos + max(map(len, gone), default=0)
        index = nearest(queries, self.gallery, most, self.distance).index.numpy()
        expanded = []
        for query, near, without in zip(queries, index, gone, strict=True):
            photos = near[~np.isin(near, without)][: expand.photos]
            some = self.gallery[torch.from_numpy(photos)][None]
            expanded.append(weighted_mean(query[None], some, expand.alpha, self._unit_length))
        return torch.cat(expanded)
