"""k-reciprocal re-ranking (Zhong et al., CVPR 2017, arXiv:1701.08398): photos with the same neighbours are near.

For a query p among a gallery, N(x, k) is the photo x and its k nearest of the query and the gallery, and

    R(x, k)  = {y ∈ N(x, k) : x ∈ N(y, k)}
    R*(x)    = R(x, k1) ∪ all R(y, k1/2) with y ∈ R(x, k1) and |R(x, k1) ∩ R(y, k1/2)| ≥ 2/3 |R(y, k1/2)|
    V(x)_y   = exp(−d(x, y)) for y ∈ R*(x), else 0; then the mean of V over the k2 nearest of x, x among them
    d_J(p,g) = 1 − Σ min(V(p), V(g)) / Σ max(V(p), V(g))
    d*(p,g)  = (1 − λ) · d_J(p, g) + λ · d(p, g)

Each query is ranked without the other queries. Only the photos nearest to the query are compared by their neighbours,
which are found in the whole gallery; for all others d_J is 1. So memory is that of the lists of neighbours. The
distance d is first divided by the mean distance of the gallery's pairs, so that strangers have about 1 in both terms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance, DistanceLike, as_distance, pairwise
from siamesekit.components.distances.nearest import nearest
from siamesekit.errors import UserError
from siamesekit.evaluation.intervals import Floats
from siamesekit.evaluation.neighbour_lists import NONE, NeighbourLists
from siamesekit.hardware.float32 import at_least_float32

SPARE = 16
"""Neighbours that are kept beyond k1, for searches that leave photos out."""
SAMPLE = 500
"""Most photos whose mean distance is the unit of distances."""
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class KReciprocal:
    """How a search is re-ranked; see the module for the formulas.

    Attributes:
        k1: number of neighbours that are compared.
        k2: number of nearest photos whose neighbours are averaged, the photo itself among them.
        weight: λ, the weight of the distance itself, 0 … 1.
        photos: number of photos nearest to the query that are compared by their neighbours.

    Raises:
        UserError: a number is out of range.
    """

    __module__ = "siamesekit"

    k1: int = 20
    k2: int = 6
    weight: float = 0.3
    photos: int = 100

    def __post_init__(self) -> None:
        if not 1 <= self.k2 <= self.k1 <= self.photos:
            raise UserError(
                f"re-ranking: expected 1 ≤ k2 ≤ k1 ≤ photos, not k2 = {self.k2}, k1 = {self.k1}, photos = {self.photos}"
            )
        if not 0 <= self.weight <= 1:
            raise UserError(f"re-ranking: weight must be from 0 to 1, not {self.weight}")


def k_reciprocal(
    queries: Tensor,
    gallery: Tensor,
    distance: DistanceLike,
    options: KReciprocal = KReciprocal(),
) -> Floats:
    """Re-ranked distances of queries `[Q, D]` to a gallery `[N, D]`: float64 `[Q, N]`, smaller is nearer.

    >>> gallery = torch.tensor([[0.0], [1.0], [2.0], [9.0]])
    >>> k_reciprocal(torch.tensor([[1.1]]), gallery, "euclidean", KReciprocal(k1=2, k2=1)).round(2)
    array([[0.62, 0.33, 0.37, 1.21]])

    Raises:
        ValueError: an embedding is not finite.
    """
    return ReRanker(gallery, as_distance(distance), options)(queries)


class ReRanker:
    """Re-ranks the photos of one gallery for queries.

    Args:
        gallery: embeddings `[N, D]`, at least one.
        distance: distance between photos.
        options: how.

    Raises:
        ValueError: an embedding is not finite.
    """

    def __init__(self, gallery: Tensor, distance: Distance, options: KReciprocal) -> None:
        self.gallery = _finite(at_least_float32(gallery))
        self.distance, self.options = distance, options
        self.lists = NeighbourLists(self.gallery, distance, options.k1 + SPARE)
        self.low, self.unit = _unit_of(self.gallery, distance)

    def __call__(self, queries: Tensor, left_out: Sequence[Indices] | None = None) -> Floats:
        """Distances `[Q, N]` of queries `[Q, D]`.

        Args:
            queries: embeddings.
            left_out: photos that are not there for each query, by index; their distance is ∞.

        Raises:
            ValueError: an embedding is not finite.
        """
        queries = _finite(at_least_float32(queries))
        gone = [np.empty(0, np.int64)] * len(queries) if left_out is None else left_out
        weight = self.options.weight
        result = weight * self._scaled(pairwise(self.distance, queries, self.gallery)) + (1 - weight)
        most = self.options.photos + max(map(len, gone), default=0)
        found = nearest(queries, self.gallery, most, self.distance)
        near = self._scaled(found.distance)
        for row, (query, index, without) in enumerate(zip(queries, found.index.numpy(), gone, strict=True)):
            kept = np.flatnonzero(~np.isin(index, without))[: self.options.photos]
            photos = index[kept]
            jaccard = self._jaccard(query, photos, without)
            result[row, photos] = (1 - weight) * jaccard + weight * near[row, kept]
            result[row, without] = np.inf
        return result

    def _scaled(self, distances: Tensor) -> Floats:
        """Distances in units of the mean distance of the gallery's pairs."""
        scaled: Floats = (distances.double().numpy() - self.low) / self.unit
        return scaled

    def _jaccard(self, query: Tensor, photos: Indices, without: Indices) -> Floats:
        """d_J of a query `[D]` and photos `[L]`, nearest first: `[L]`. The query has the index N."""
        number, k1 = len(self.gallery), self.options.k1

        def lists(ids: Indices) -> Indices:
            """N(x, k1) of photos or the query, nearest first, itself before all: `[m, k1 + 1]`."""
            found = np.full((len(ids), k1 + 1), NONE, np.int64)
            found[:, 0] = ids
            own = ids == number
            found[own, 1 : 1 + len(photos[:k1])] = photos[:k1]
            found[~own, 1:] = self._lists(query, ids[~own], without)
            return found

        expanded = lists(np.concatenate([[number], photos]))[:, : self.options.k2]
        there = expanded != NONE
        anchors = np.unique(expanded[there])
        members, robust = robust_sets(lists, anchors, k1)
        rows, columns = robust.nonzero()
        points = torch.cat([self.gallery[torch.from_numpy(members[members < number])], query[None]])
        ends = [np.searchsorted(members, anchors)[rows], columns]
        far = self.distance(*(points[torch.from_numpy(end)] for end in ends))
        values = np.zeros(robust.shape)
        values[rows, columns] = np.exp(-self._scaled(far))
        vectors = (values[np.searchsorted(anchors, expanded)] * there[..., None]).sum(1) / there.sum(1, keepdims=True)
        shared, total = np.minimum(vectors[0], vectors[1:]).sum(1), vectors.sum(1)
        jaccard: Floats = 1 - shared / (total[0] + total[1:] - shared)
        return jaccard

    def _lists(self, query: Tensor, ids: Indices, without: Indices) -> Indices:
        """The k1 nearest of photos `[m]` among the other photos and the query, without those left out: `[m, k1]`."""
        index, far = self.lists.without(ids, without, self.options.k1)
        own = self.distance(query[None], self.gallery[torch.from_numpy(ids)]).double().numpy()
        index = np.concatenate([index, np.full((len(ids), 1), len(self.gallery))], axis=1)
        order = np.argsort(np.concatenate([far, own[:, None]], axis=1), axis=1, kind="stable")
        return np.take_along_axis(index, order, 1)[:, : self.options.k1]


def robust_sets(lists: Callable[[Indices], Indices], anchors: Indices, k1: int) -> tuple[Indices, NDArray[np.bool_]]:
    """R* of photos: all their members, ascending `[m]`, and which of them belong to each set, `[a, m]`.

    Args:
        lists: gives the photo itself and its k1 nearest for photos, `[n]` → `[n, k1 + 1]`, with `NONE` at the end.
        anchors: the photos, ascending, `[a]`.
        k1: number of neighbours.
    """
    half = round(k1 / 2) + 1
    near = lists(anchors)
    middle = _members(near)
    near_middle = lists(middle)
    members = _members(near_middle[:, :half])
    own = _reciprocal(anchors, near, middle, near_middle)
    further = _reciprocal(middle, near_middle[:, :half], members, lists(members)[:, :half])
    rows = np.arange(len(anchors))[:, None]
    sets = np.zeros((len(anchors), len(members)), np.bool_)
    first, column = own.nonzero()
    sets[first, np.searchsorted(members, near[first, column])] = True
    through = np.searchsorted(middle, near)
    candidates, valid = np.searchsorted(members, near_middle[:, :half])[through], further[through]
    overlap = (sets[rows[..., None], candidates] & valid).sum(2)
    valid &= (own & (3 * overlap >= 2 * valid.sum(2)))[..., None]
    robust = sets.copy()
    first, *place = valid.nonzero()
    robust[first, candidates[first, place[0], place[1]]] = True
    return members, robust


def _reciprocal(photos: Indices, near: Indices, others: Indices, near_others: Indices) -> NDArray[np.bool_]:
    """Which of the neighbours `[n, k]` of photos `[n]` have the photo among their own, `[m, k]` for `others` `[m]`."""
    back = near_others[np.searchsorted(others, near)] == photos[:, None, None]
    found: NDArray[np.bool_] = back.any(2) & (near != NONE)
    return found


def _members(lists: Indices) -> Indices:
    """All that occur in lists, ascending."""
    members: Indices = np.unique(lists[lists != NONE])
    return members


def _unit_of(gallery: Tensor, distance: Distance) -> tuple[float, float]:
    """What is subtracted from distances, 0 unless some are negative, and what they are divided by then."""
    chosen = torch.linspace(0, len(gallery) - 1, min(len(gallery), SAMPLE)).long()
    far = pairwise(distance, gallery[chosen], gallery[chosen]).double()
    low = min(0.0, float(far.min()))
    pairs = far[~torch.eye(len(far), dtype=torch.bool)]
    unit = float(pairs.mean()) - low if len(pairs) else 1.0
    return low, unit if unit > 0 else 1.0


def _finite(embeddings: Tensor) -> Tensor:
    if not bool(embeddings.isfinite().all()):
        raise ValueError("re-ranking needs finite embeddings")
    return embeddings
