"""Sampler `p-by-k`: some photos each of some individuals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.data.samplers.batch import Batch
from siamesekit.options import Several
from siamesekit.randomness import generator
from siamesekit.registry import SAMPLERS


def batches_of_groups(groups: NDArray[np.int64], individuals: int) -> int:
    """Among how many batches to deal groups of photos, no individual twice in a batch, no individual alone in one.

    As few as hold at most `individuals` groups each, or as the individual with the most groups has; fewer where that
    would leave a batch with a single individual.

    Args:
        groups: int64 `[I]`, each individual's number of groups, at least 1.
        individuals: wanted in a batch.
    """
    if len(groups) == 0:
        return 0
    batches = max(-(-int(groups.sum()) // individuals), int(groups.max()))
    while batches > 1 and int(groups.clip(max=batches).sum()) < 2 * batches:
        batches -= 1
    return batches


@SAMPLERS.register("p-by-k")
class PByK:
    """Batches of some individuals with some photos each, P × K, and no triplets: the loss, or a miner, makes them.

    Every epoch each individual's photos are shuffled and cut into groups of K, the last one of what is left, and the
    groups are dealt so that no individual is twice in a batch: N ≤ P · K photos, indices `[N]`, each photo at most
    once an epoch. Every individual with at least two photos takes part, and is visited about photos / K times. A
    single photo that is left over waits for another epoch. An epoch's order depends on the seed and the epoch alone.
    The size of a batch is P × K: `batch_size` is not used.

    Args:
        individuals: P, in a batch; where one would be left alone in a batch it joins another.
        photos: K, of each individual; all of them where it has fewer.
        labels: int64 `[N]`, supplied by the run.
        seed: supplied by the run.
    """

    def __init__(self, individuals: Several = 16, photos: Several = 4, *, labels: NDArray[np.int64], seed: int) -> None:
        members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self.members = [mine for mine in members if len(mine) > 1]
        self.photos = photos
        self.seed = seed
        # a group of one photo would make no pair
        groups = np.array([(len(mine) + photos - 2) // photos for mine in self.members], dtype=np.int64)
        self.batches = batches_of_groups(groups, individuals)

    def __len__(self) -> int:
        return self.batches

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, other ones in each."""
        rng = generator(self.seed, f"p-by-k epoch {epoch}")
        dealt: list[list[NDArray[np.int64]]] = [[] for _ in range(self.batches)]
        place = 0
        for individual in rng.permutation(len(self.members)):
            mine = rng.permutation(self.members[individual])
            groups = [mine[start : start + self.photos] for start in range(0, len(mine) - 1, self.photos)]
            for group in groups[: self.batches]:
                dealt[place % self.batches].append(group)
                place += 1
        for batch in rng.permutation(self.batches):
            yield Batch(torch.from_numpy(np.concatenate(dealt[batch])), None)
