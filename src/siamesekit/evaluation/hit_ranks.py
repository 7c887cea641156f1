"""Which ranks of a long ranking are hits, for individuals with very many photos.

A figure needs to know at which ranks the hits are, not which photo has which rank. So the order matters only between a
hit and another photo. All gallery photos are *scored* by products in float64, sorted by score, and compared by the
distance itself only if the rounding of the distance may put a photo of the other kind first. The bound of that rounding
is proven, so the result is that of `siamesekit.nearest`, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance, RanksAs
from siamesekit.components.distances.summation import summation_depth
from siamesekit.evaluation.intervals import Floats
from siamesekit.hardware.float32 import at_least_float32, full_precision

SCORES = 1 << 21
"""Number of scores in each of two blocks: one is computed while the other is ranked."""
VALUES = 1 << 17
"""Most coordinates that are compared by the distance at a time. In fewer, threads wait for each other's Python."""
ROWS = 32
"""Number of queries that are sorted at a time, for the same reason not fewer."""
FROM = 1 << 14
"""Ranks of all photos together from which this is no slower than the search for neighbours: those of 128 photos."""
SHARE = 64
"""Least share of the gallery among the ranks: one in so many."""

Integers = NDArray[np.int64]


def hit_ranks(embeddings: Tensor, labels: Tensor, queries: Tensor, k: int, distance: Distance) -> Tensor | None:
    """Whether each of the first k ranks shows the query's individual, bool `[q, k]`, nearest first.

    Each query is ranked against all other photos; equal distances are ordered by index. None if this is not faster than
    the search for neighbours, or if the error of a score has no known bound: a distance without `ranks_as`, embeddings
    in float64, on a GPU, not finite, or so large or so alike that nearly all photos would be compared.

    Args:
        embeddings: embeddings `[N, D]` of all photos.
        labels: int64 `[N]`, their labels.
        queries: int64 `[q]`, the queries among the photos.
        k: number of ranks, at most N − 1.
        distance: distance by which photos are ranked.
    """
    if k * len(embeddings) < FROM or k * SHARE < len(embeddings) or embeddings.device.type != "cpu":
        return None
    scores = _Scores.of(at_least_float32(embeddings), distance)
    if scores is None:
        return None
    individual = labels.unique(return_inverse=True)[1].to(torch.int32).numpy()
    found = torch.empty(len(queries), k, dtype=torch.bool)
    at_once, threads = max(1, SCORES // len(embeddings)), torch.get_num_threads()
    memories = [torch.empty(at_once, len(embeddings), dtype=torch.float64) for _ in range(2)]
    ranked: list[tuple[Tensor, Future[Tensor | None]]] = []
    with ThreadPoolExecutor(threads) as pool:
        for number, (some, into) in enumerate(zip(queries.split(at_once), found.split(at_once), strict=True)):
            scored = scores(some, memories[number % 2])  # while the threads rank those before
            if not _collected(ranked):
                return None
            parts = zip(*(each.tensor_split(threads) for each in (into, some, *scored)), strict=True)
            ranked = [(part, pool.submit(_hits, scores, individual, k, *given)) for part, *given in parts]
        return found if _collected(ranked) else None


def _collected(ranked: list[tuple[Tensor, Future[Tensor | None]]]) -> bool:
    """Wait for hits, and put them into their places; False if any are None."""
    for part, future in ranked:
        hits = future.result()
        if hits is None:
            return False
        part[:] = hits
    return True


@dataclass(frozen=True, repr=False)
class _Scores:
    """Scores in float64 that order the photos as the distance does, up to its rounding.

    Attributes:
        embeddings: float32 `[N, D]`.
        distance: the distance.
        left: float64 `[N, D + 2]`; the score of two photos is the product of a row of `left` with one of `right`.
        right: float64 `[N, D + 2]`.
        size: float64 `[N]`, most that the terms of a score add up to without their signs, by query.
        relative: largest relative error of a distance, on the scale of the scores.
        absolute: the same as an absolute error, for a point of length 1 for `dot`.
    """

    embeddings: Tensor
    distance: Distance
    left: Tensor
    right: Tensor
    size: Tensor
    relative: float
    absolute: float

    @classmethod
    def of(cls, embeddings: Tensor, distance: Distance) -> Self | None:
        """The scores of a distance in float32; None if their error has no bound.

        Let u = 2⁻²⁴, and let a number pass through at most S additions. Then Σ (a − b)² has a relative error of at most
        (S + 3) u; five more u are left for a function of it, such as the root. For `dot`, Σ a b has an absolute error
        of at most (S + 1) u |a||b|. For `cosine` both lengths add (D/2 + 3) u. S is D − 1 for a sum in any order, and
        far less for the order in which PyTorch adds.
        """
        ranks_as: RanksAs | None = getattr(distance, "ranks_as", None)
        if ranks_as is None or embeddings.dtype != torch.float32 or not bool(embeddings.isfinite().all()):
            return None
        points, unit = embeddings.double(), torch.finfo(torch.float32).eps / 2
        norms = points.norm(dim=1)
        if (2 * float(norms.max())) ** 2 > torch.finfo(torch.float32).max / 4:
            return None
        if ranks_as == "cosine":
            points = points / norms.clamp_min(1e-8)[:, None]
            norms = points.norm(dim=1)
        dimensions = embeddings.shape[1]
        additions = summation_depth(dimensions) if getattr(distance, "sums_rows", False) else dimensions
        more = {"euclidean": 8, "dot": 8, "cosine": dimensions + 16}[ranks_as]
        rounded = 1.01 * (additions + more) * unit
        longest, one, nothing = norms.max(), torch.ones_like(norms), torch.zeros_like(norms)
        if ranks_as == "euclidean":  # |a|² − 2 a b + |b|²
            left, right = [-2 * points, norms.square(), one], [points, one, norms.square()]
            size, relative, absolute = (norms + longest).square(), rounded, 0.0
        else:  # a constant − a b, at least 0
            size = norms * longest if ranks_as == "dot" else one
            left, right, relative, absolute = [-points, size, nothing], [points, one, nothing], 0.0, rounded
        return cls(embeddings, distance, torch.column_stack(left), torch.column_stack(right), size, relative, absolute)

    def __call__(self, queries: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of queries `[q]`, at least 0, ∞ for the query itself, with bounds of their error: `[q, N]`, `[q, 1]`.

        The relative error of the distance comes on top. The scores are in `memory`, float64 `[q or more, N]`.
        """
        scores = torch.mm(self.left[queries], self.right.T, out=memory[: len(queries)])
        scores.clamp_min_(0)
        scores[torch.arange(len(queries)), queries] = torch.inf
        double, single = torch.finfo(torch.float64), torch.finfo(torch.float32)
        columns, size = self.right.shape[1], self.size[queries, None]
        error = (self.absolute + 4 * (columns + 16) * double.eps) * size
        return scores, error + 4 * columns * single.tiny

    def distances(self, queries: Tensor, photos: Tensor) -> Floats:
        """The distances of P queries from P photos, `[P]`, by the distance itself."""
        found, size = torch.empty(len(queries)), max(1, VALUES // max(1, self.embeddings.shape[1]))
        with torch.no_grad(), full_precision(self.embeddings.device):
            for a, b, into in zip(queries.split(size), photos.split(size), found.split(size), strict=True):
                into[:] = self.distance(self.embeddings.index_select(0, a), self.embeddings.index_select(0, b))
        values: Floats = found.double().numpy()
        return values


def _hits(
    scores: _Scores, individual: NDArray[np.int32], k: int, queries: Tensor, found: Tensor, error: Tensor
) -> Tensor | None:
    """The hits among the first k ranks, bool `[q, k]`, of queries `[q]`, in memory of their scores `[q, N]`.

    None if too many photos would be compared.
    """
    hits = torch.empty(len(queries), k, dtype=torch.bool)
    for few, *parts in zip(hits.split(ROWS), *(each.split(ROWS) for each in (queries, found, error)), strict=True):
        ranked = _ranked(scores, individual, k, *parts)
        if ranked is None:
            return None
        few[:] = ranked
    return hits


def _ranked(
    scores: _Scores, individual: NDArray[np.int32], k: int, queries: Tensor, found: Tensor, error: Tensor
) -> Tensor | None:
    """As `_hits`, for few queries."""
    values, absolute = found.numpy(), error.numpy()
    photos = values.shape[1]
    low = (1 << photos.bit_length()) - 1
    relative = scores.relative + 2 * low * np.finfo(np.float64).eps
    # a score and its column in one integer, which sorts fast; scores are at least 0 and so in the order of their bits
    keys = values.view(np.int64)
    keys &= ~low
    keys |= np.arange(photos)
    nearest, width = _sorted(keys, k + k // 16 + 64), 0
    while width < min(nearest.shape[1], photos):
        width = nearest.shape[1]
        kth = (nearest[:, k - 1 : k] & ~low).view(np.float64)
        # whatever scores above this is farther than k photos
        limit = ((kth * (1 + relative) + 2 * absolute) / (1 - relative) * (1 + 1e-12)).view(np.int64) | low
        if width < photos and (nearest[:, -1:] <= limit).any():
            nearest = _sorted(keys, int((keys <= limit).sum(axis=1).max()) + 1)
    column = nearest & low
    nearest &= ~low
    score = nearest.view(np.float64)
    hit = individual.take(column) == individual[queries.numpy()][:, None]
    row, rank = np.nonzero(_undecided(hit, score * (1 - relative) - absolute, score * (1 + relative) + absolute))
    if len(row) > k * max(1, len(queries)):
        return None
    column = column[row, rank]
    distance = scores.distances(queries[torch.from_numpy(row)], torch.from_numpy(column))
    hit[row, rank] = hit[row, rank][np.lexsort((column, distance, row))]
    return torch.from_numpy(hit[:, :k])


def _sorted(keys: Integers, count: int) -> Integers:
    """The smallest keys of each row, ascending: `[q, N]`, which is reordered → `[q, count]`, or all if fewer."""
    if count < keys.shape[1]:
        keys.partition(count - 1, axis=1)
    return np.sort(keys[:, :count], axis=1)


def _undecided(hit: NDArray[np.bool_], least: Floats, most: Floats) -> NDArray[np.bool_]:
    """Photos that a photo of the other kind may precede or follow, against the scores: bool `[q, n]`.

    Args:
        hit: bool `[q, n]`, the kind of each photo; the photos are sorted by their scores.
        least: `[q, n]`, the least that their distance may be, ascending.
        most: `[q, n]`, the most that it may be, ascending; ∞ for the query itself, which is never undecided.
    """
    found = np.zeros_like(hit)
    row, before = np.nonzero((hit[:, :-1] != hit[:, 1:]) & (most[:, :-1] >= least[:, 1:]))
    found[row, before] = found[row, before + 1] = True
    _mark(found, hit, row, before, -1, lambda some, place, boundary: most[some, place] >= least[some, boundary + 1])
    _mark(found, hit, row, before + 1, 1, lambda some, place, boundary: least[some, place] <= most[some, boundary - 1])
    return found & (most < np.inf)


def _mark(
    found: NDArray[np.bool_],
    hit: NDArray[np.bool_],
    row: Integers,
    start: Integers,
    step: Literal[-1, 1],
    near: Callable[[Integers, Integers, Integers], NDArray[np.bool_]],
) -> None:
    """Mark photos of the kind of those at `start`, step by step, up to the first that is not near.

    Args:
        found: bool `[q, n]`, which is changed.
        hit: bool `[q, n]`, the kind of each photo.
        row: int64 `[b]`, queries.
        start: int64 `[b]`, places of the photos to begin with.
        step: direction.
        near: whether the photos at places `[b]` of queries `[b]` are to be marked, given `start`: bool `[b]`.
    """
    place = start
    while len(row):
        further = np.clip(place + step, 0, hit.shape[1] - 1)
        kept = (further != place) & (hit[row, further] == hit[row, place]) & near(row, further, start)
        row, place, start = row[kept], further[kept], start[kept]
        found[row, place] = True
