"""Distribution of photos over batches of several individuals, each at most once per batch, with several photos each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Members = list[NDArray[np.int64]]
"""The photos of each individual, int64 `[M]`."""


def several(labels: NDArray[np.int64]) -> Members:
    """The photos of each individual with at least two, by label: int64 `[N]` → I arrays of indices."""
    order = np.argsort(labels, kind="stable")
    ends = np.flatnonzero(np.diff(labels[order])) + 1
    return [photos for photos in np.split(order, ends) if len(photos) > 1]


def batches_of(members: Sequence[NDArray[np.int64]], individuals: int, photos: int) -> int:
    """The number of batches such that no individual is twice in a batch and none is alone in a batch.

    The photos of each individual are split into groups of `photos`. The number of batches is the smallest with at most
    `individuals` groups per batch, but at least the number of groups of any individual. It is reduced if a batch would
    have a single individual.

    Args:
        members: the photos of I individuals, int64 `[M]` each, at least two.
        individuals: desired number of individuals per batch.
        photos: desired number of photos per individual in a batch.
    """
    if len(members) == 0:
        return 0
    # a group of one photo would have no pair
    groups = np.array([(len(mine) + photos - 2) // photos for mine in members], dtype=np.int64)
    batches = max(-(-int(groups.sum()) // individuals), int(groups.max()))
    while batches > 1 and int(groups.clip(max=batches).sum()) < 2 * batches:
        batches -= 1
    return batches


def deal(members: Sequence[NDArray[np.int64]], photos: int, batches: int, rng: np.random.Generator) -> Members:
    """Shuffle the photos of each individual, and deal them to the batches in turn, in groups of `photos`.

    A single remaining photo, and groups beyond one per batch, are left out of this epoch.

    Returns:
        The photos of each batch, int64 `[N]`, with varying N.
    """
    dealt: list[list[NDArray[np.int64]]] = [[] for _ in range(batches)]
    place = 0
    for individual in rng.permutation(len(members)):
        mine = rng.permutation(members[individual])
        groups = [mine[start : start + photos] for start in range(0, len(mine) - 1, photos)]
        for group in groups[:batches]:
            dealt[place % batches].append(group)
            place += 1
    return [np.concatenate(groups) for groups in dealt]
