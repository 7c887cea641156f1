"""What a search gets wrong: individuals that are taken for one another, and hubs.

A hub is a photo that is near to many others, whoever they show. The k-occurrence N_k of a photo is the number of
queries that have it among their k nearest; in high dimensions its distribution is skewed (Radovanović, Nanopoulos and
Ivanović 2010, Journal of Machine Learning Research 11).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.evaluation.intervals import Floats
from siamesekit.evaluation.protocol import Protocol, ranked

K = 10
"""Number of neighbours of the k-occurrence."""
AT_ONCE = 4096
"""Number of queries ranked at a time."""


@dataclass(frozen=True)
class Neighbourhoods:
    """The nearest gallery photos of some queries.

    Attributes:
        query: int64 `[q]`, positions of the queries among all photos.
        photo: int64 `[q, k]`, positions of their neighbours, nearest first; −1 for ranks that do not exist or whose
            distance is NaN.
        distance: float64 `[q, k]`.
        gallery: int64 `[G]`, positions of the photos that were searched.
    """

    query: NDArray[np.int64]
    photo: NDArray[np.int64]
    distance: Floats
    gallery: NDArray[np.int64]

    @property
    def occurrences(self) -> NDArray[np.int64]:
        """N_k of each gallery photo, int64 `[G]`."""
        found = self.photo[self.photo >= 0]
        counts: NDArray[np.int64] = np.bincount(found, minlength=int(self.gallery.max(initial=-1)) + 1)[self.gallery]
        return counts


@dataclass(frozen=True)
class Confusion:
    """An individual whose photos are taken for those of another.

    Attributes:
        individual: label of the queries.
        taken_for: label of the nearest photo.
        count: number of queries of this individual whose nearest photo shows the other one.
        queries: number of queries of this individual.
        query: position of the query that is nearest to a photo of the other individual.
        found: position of that photo.
    """

    individual: int
    taken_for: int
    count: int
    queries: int
    query: int
    found: int


@dataclass(frozen=True)
class Hub:
    """A gallery photo that is the nearest of queries of other individuals.

    Attributes:
        photo: position of the photo.
        misled: number of queries of other individuals whose nearest photo it is.
        occurrences: number of queries that have it among their k nearest (N_k).
    """

    photo: int
    misled: int
    occurrences: int


def neighbourhoods(
    embeddings: Tensor, protocol: Protocol, rows: Tensor, distance: Distance, k: int = K
) -> Neighbourhoods:
    """Find the k nearest gallery photos of some queries.

    Args:
        embeddings: embeddings `[N, D]` of all photos.
        protocol: queries, gallery and groups.
        rows: int64 `[q]`, the queries, as positions in `protocol.queries`.
        distance: distance by which photos are ranked.
        k: number of neighbours; fewer if the gallery has fewer photos.
    """
    photos, distances = [], []
    for some in rows.split(AT_ONCE):
        found = ranked(embeddings, protocol, some, k, distance)
        there = (found.valid & ~found.distance.isnan()).cpu()
        photos.append(found.photo.cpu().masked_fill(~there, -1))
        distances.append(found.distance.cpu().double())
    return Neighbourhoods(
        protocol.queries[rows].numpy(),
        torch.cat(photos).numpy(),
        torch.cat(distances).numpy(),
        protocol.gallery.numpy(),
    )


def confusions(found: Neighbourhoods, labels: NDArray[np.int64]) -> list[Confusion]:
    """Pairs of an individual and another that its photos are taken for: the most frequent first, then by share.

    Args:
        found: neighbours of the queries.
        labels: int64 `[N]`, labels of all photos.
    """
    nearest, asked = found.photo[:, 0], labels[found.query]
    of = dict(zip(*(part.tolist() for part in np.unique(asked, return_counts=True)), strict=True))
    examples: dict[tuple[int, int], list[int]] = {}
    for row in _wrong(found, labels):
        examples.setdefault((int(asked[row]), int(labels[nearest[row]])), []).append(row)
    confused = []
    for (individual, other), rows in examples.items():
        best = min(rows, key=lambda row: found.distance[row, 0])
        query, photo = int(found.query[best]), int(nearest[best])
        confused.append(Confusion(individual, other, len(rows), of[individual], query, photo))
    return sorted(confused, key=lambda c: (-c.count, c.queries, c.individual, c.taken_for))


def hubs(found: Neighbourhoods, labels: NDArray[np.int64]) -> list[Hub]:
    """Gallery photos that are the nearest of queries of other individuals, the most frequent first.

    Args:
        found: neighbours of the queries.
        labels: int64 `[N]`, labels of all photos.
    """
    misled: dict[int, int] = {}
    for row in _wrong(found, labels):
        photo = int(found.photo[row, 0])
        misled[photo] = misled.get(photo, 0) + 1
    count = dict(zip(found.gallery.tolist(), found.occurrences.tolist(), strict=True))
    listed = [Hub(photo, times, count[photo]) for photo, times in misled.items()]
    return sorted(listed, key=lambda hub: (-hub.misled, -hub.occurrences, hub.photo))


def skewness(values: NDArray[np.int64] | Floats) -> float | None:
    """Skewness of values `[n]`: mean of (x − μ)³, divided by σ³; None if they are all equal.

    >>> skewness(np.array([0, 0, 0, 4]))  # μ = 1, σ² = 3, third moment 6: 6 / 3√3
    1.1547005383792515
    """
    centred = np.asarray(values, dtype=np.float64) - np.mean(values)
    variance = (centred**2).mean()
    return float((centred**3).mean() / variance**1.5) if variance > 0 else None


def _wrong(found: Neighbourhoods, labels: NDArray[np.int64]) -> Iterator[int]:
    """The queries whose nearest photo shows another individual, as rows."""
    nearest = found.photo[:, 0]
    yield from np.flatnonzero((nearest >= 0) & (labels[nearest] != labels[found.query])).tolist()
