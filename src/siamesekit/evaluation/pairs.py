"""Pairs of photos with their distances: all pairs, or a random sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import DistanceLike, as_distance
from siamesekit.components.labels import Labels, label_array, labels_of

MAX_PAIRS = 2_000_000
"""Maximum number of pairs, all pairs of 2000 photos; more pairs are sampled."""
CHUNK = 4096
"""Number of pairs compared at a time."""


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs i < j of photos with their distances.

    Attributes:
        distance: float64 `[P]`, distances of the pairs.
        first: int64 `[P]`, label of photo i.
        second: int64 `[P]`, label of photo j.
        total: number of all pairs of the photos, P or more; 0 if unknown.
    """

    distance: NDArray[np.float64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    total: int = 0

    @property
    def same(self) -> NDArray[np.bool_]:
        """Whether both photos show the same individual, `[P]`."""
        same: NDArray[np.bool_] = self.first == self.second
        return same

    def among(self, individuals: NDArray[np.int64]) -> ScoredPairs:
        """Pairs in which both photos show one of these individuals, int64 labels `[I]`."""
        kept = np.isin(self.first, individuals) & np.isin(self.second, individuals)
        return ScoredPairs(self.distance[kept], self.first[kept], self.second[kept])


def pairs_of(
    embeddings: Tensor,
    labels: Labels,
    distance: DistanceLike,
    rng: np.random.Generator,
    most: int = MAX_PAIRS,
) -> ScoredPairs:
    """Score pairs i < j of photos by their distances: all pairs, or a sample of `most` (`choose_pairs`).

    Args:
        embeddings: embeddings `[N, D]` of the photos.
        labels: labels `[N]` of the photos.
        distance: a distance, its name, or a table with its name and options. It is computed pair by pair, without an
            `[N, N]` matrix.
        rng: random generator of the sample.
        most: maximum number of pairs.
    """
    labels, distance = label_array(labels_of(embeddings, labels)), as_distance(distance)
    i, j = choose_pairs(labels, rng, most)
    first, second = torch.from_numpy(i), torch.from_numpy(j)
    with torch.no_grad():
        distances = [
            distance(embeddings[a], embeddings[b]).double().cpu()
            for a, b in zip(first.split(CHUNK), second.split(CHUNK), strict=True)
        ]
    return ScoredPairs(torch.cat(distances).numpy(), labels[i], labels[j], len(labels) * (len(labels) - 1) // 2)


def choose_pairs(labels: Labels, rng: np.random.Generator, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose pairs i < j of N photos, `[P]` and `[P]`: all pairs, or a random sample of `most` if there are more.

    The sample contains all same pairs, or `most` / 2 random ones if there are more, and random different pairs for the
    rest. Memory is O(N + most).
    """
    labels = label_array(labels)
    size = len(labels)
    if size * (size - 1) // 2 <= most:
        return np.triu_indices(size, k=1)
    # With the photos sorted by individual, a photo forms a same pair with each earlier photo of its individual, and a
    # different pair with each photo of the individuals before.
    order = np.argsort(labels, kind="stable")
    _, first, photos = np.unique(labels[order], return_index=True, return_counts=True)
    start = np.repeat(first, photos)
    chosen = _pairs_with(start, np.arange(size), most // 2, rng)
    different = _pairs_with(np.zeros_like(start), start, most - chosen.shape[1], rng)
    low, high = np.sort(order[np.concatenate([chosen, different], axis=1)], axis=0)
    return low, high


def _pairs_with(
    start: NDArray[np.int64], stop: NDArray[np.int64], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Sample pairs of p and one of start[p] … stop[p] − 1, uniformly without replacement, `[2, count]`.

    If there are at most `count` such pairs, return all of them. The pairs are numbered in the order of p, so no draw is
    rejected.
    """
    partners = stop - start
    ends = np.cumsum(partners)
    number = _distinct(int(ends[-1]), min(int(ends[-1]), count), rng)
    place = np.searchsorted(ends, number, side="right")
    return np.stack([start[place] + number - (ends - partners)[place], place])


def _distinct(total: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A uniform random sample of 0 … total − 1 without replacement, ascending."""
    if total <= 8 * count:  # rejection sampling would take long
        return np.sort(rng.permutation(total)[:count])
    found = np.empty(0, dtype=np.int64)
    while len(found) < count:
        found = np.union1d(found, rng.integers(total, size=count))
    return np.sort(rng.permutation(found)[:count])
