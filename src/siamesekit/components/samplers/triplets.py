"""Triplets of samplers: one for each positive pair, or a given number of random ones."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.components.labels import Labels, label_array
from siamesekit.components.tuples import Triplets


def all_pairs_triplets(labels: Labels, photos: int, rng: np.random.Generator) -> Triplets:
    """One triplet for every pair i < j of the first `photos` photos of each individual, in shuffled order.

    The photo of lower index is the anchor. The negative is a random one of the first `photos` photos of a random other
    individual. There are no triplets without a second individual.

    Args:
        labels: int64 `[N]`, the individual of each photo.
        photos: K, number of photos of each individual that are used, which form K(K−1)/2 triplets.
        rng: generator of the negatives, then of the order.
    """
    labels = label_array(labels)
    order = np.argsort(labels, kind="stable")
    members = [mine[:photos] for mine in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(mine)]
    rows = []
    for own, mine in enumerate(members if len(members) > 1 else []):
        for i in range(len(mine)):
            for j in range(i + 1, len(mine)):
                other = int(rng.integers(len(members) - 1))
                theirs = members[other + (other >= own)]
                rows.append((mine[i], mine[j], theirs[rng.integers(len(theirs))]))
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)[rng.permutation(len(rows))]
    return Triplets(*torch.from_numpy(table).T.contiguous())


def random_triplets(labels: Labels, count: int, rng: np.random.Generator) -> Triplets:
    """Random triplets, in which the numbers of triplets of any two positive pairs differ by at most 1.

    The anchor is a random photo of the pair; the negative is a random photo of a random other individual. Memory is
    O(N + count), and more only if `count` is a large share of all pairs.

    Args:
        labels: int64 `[N]`, the individual of each photo.
        count: T; 0 for the number of positive pairs. Without a positive pair or a negative there are no triplets.
        rng: generator of the triplets and their order.
    """
    labels = label_array(labels)
    order = np.argsort(labels, kind="stable")
    _, start, size = np.unique(labels[order], return_index=True, return_counts=True)
    ends = np.cumsum(size * (size - 1) // 2)
    pairs = int(ends[-1]) if len(size) > 1 else 0
    if pairs == 0:
        return Triplets(*torch.empty(3, 0, dtype=torch.int64))
    count = count or pairs
    rounds = [rng.choice(pairs, min(pairs, count - done), replace=False) for done in range(0, count, pairs)]
    number = np.concatenate(rounds)
    own = np.searchsorted(ends, number, side="right")
    low, high = pair_of(number - (ends - size * (size - 1) // 2)[own])
    swapped = rng.random(count) < 0.5
    anchor, positive = np.where(swapped, high, low), np.where(swapped, low, high)
    other = rng.integers(len(size) - 1, size=count)
    other += other >= own
    table = order[np.stack([start[own] + anchor, start[own] + positive, start[other] + rng.integers(size[other])])]
    return Triplets(*torch.from_numpy(table))


def pair_of(number: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pair i < j whose number is j(j − 1)/2 + i, `[P]` → `[P]`, `[P]`: (0, 1), (0, 2), (1, 2), (0, 3), …

    >>> pair_of(np.array([0, 1, 2, 3]))
    (array([0, 0, 1, 0]), array([1, 2, 2, 3]))
    """
    j = ((1 + np.sqrt(1 + 8.0 * number)) / 2).astype(np.int64)
    j -= j * (j - 1) // 2 > number  # the root may be rounded up to an integer
    j += j * (j + 1) // 2 <= number
    return number - j * (j - 1) // 2, j
