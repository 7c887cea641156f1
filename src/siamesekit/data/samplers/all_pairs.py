"""Sampler `all-pairs`: every pair of an individual's photos, each with one random negative."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.data.samplers.batch import Batch, batch_of
from siamesekit.options import Count
from siamesekit.randomness import generator
from siamesekit.registry import SAMPLERS
from siamesekit.triplets import Triplets


def all_pairs_triplets(labels: NDArray[np.int64], photos: int, rng: np.random.Generator) -> Triplets:
    """One triplet for every pair i < j of each individual's first `photos` photos, in shuffled order.

    The photo of lower index is the anchor. The negative is a random photo, among the first `photos`, of a random
    other individual.

    Args:
        labels: int64 `[N]`, each photo's individual.
        photos: how many photos of an individual take part, K; that makes K(K−1)/2 triplets each.
        rng: draws the negatives, then the order.
    """
    members = [np.flatnonzero(labels == label)[:photos] for label in np.unique(labels)]
    rows = []
    for own, mine in enumerate(members):
        for i in range(len(mine)):
            for j in range(i + 1, len(mine)):
                other = int(rng.integers(len(members) - 1))
                theirs = members[other + (other >= own)]
                rows.append((mine[i], mine[j], theirs[rng.integers(len(theirs))]))
    table = np.array(rows, dtype=np.int64)[rng.permutation(len(rows))]
    return Triplets(*torch.from_numpy(table).T.contiguous())


@SAMPLERS.register("all-pairs")
class AllPairs:
    """Every pair of an individual's photos is anchor and positive of one triplet, the negative random.

    The list of T triplets is drawn and shuffled once and is the same in every epoch; batches of `batch_size`
    triplets, the last one smaller where it does not fill up. Each batch holds its distinct photos once:
    indices `[N]` and triplets `[batch_size]`.

    Args:
        photos: the photos of an individual that take part are its first so many.
        labels: int64 `[N]`, supplied by the run.
        batch_size: triplets in a batch; supplied by the run.
        seed: supplied by the run.
    """

    def __init__(self, photos: Count = 10, *, labels: NDArray[np.int64], batch_size: int, seed: int) -> None:
        self.triplets = all_pairs_triplets(labels, photos, generator(seed, "triplets"))
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.triplets.anchor) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch; the same in each."""
        for start in range(0, len(self.triplets.anchor), self.batch_size):
            yield batch_of(Triplets(*(index[start : start + self.batch_size] for index in self.triplets)))
