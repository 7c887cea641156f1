"""How photos are dealt to batches: some individuals with some photos each, nobody twice in a batch, nobody alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Members = list[NDArray[np.int64]]
"""For each individual its photos, int64 `[M]`."""


def several(labels: NDArray[np.int64]) -> Members:
    """The photos of each individual that has two or more, by label: int64 `[N]` → I arrays of indices."""
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return [mine for mine in members if len(mine) > 1]


def batches_of(members: Sequence[NDArray[np.int64]], individuals: int, photos: int) -> int:
    """Among how many batches to deal the photos, no individual twice in a batch, no individual alone in one.

    Each individual's photos come in groups of `photos`. As few batches as hold at most `individuals` groups each, or as
    the individual with the most groups has; fewer where that would leave a batch with a single individual.

    Args:
        members: of I individuals each its photos, int64 `[M]`, at least two.
        individuals: wanted in a batch.
        photos: wanted of an individual in a batch.
    """
    if len(members) == 0:
        return 0
    # a group of one photo would make no pair
    groups = np.array([(len(mine) + photos - 2) // photos for mine in members], dtype=np.int64)
    batches = max(-(-int(groups.sum()) // individuals), int(groups.max()))
    while batches > 1 and int(groups.clip(max=batches).sum()) < 2 * batches:
        batches -= 1
    return batches


def deal(members: Sequence[NDArray[np.int64]], photos: int, batches: int, rng: np.random.Generator) -> Members:
    """Deal each individual's photos, shuffled, in groups of `photos` to so many batches, in turn.

    A single photo that is left over, and groups beyond one for each batch, wait for another epoch.

    Returns:
        The photos of each batch, int64 `[N]`, N differing.
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
