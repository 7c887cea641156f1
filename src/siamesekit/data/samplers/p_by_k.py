"""Sampler `p-by-k`: some photos each of some individuals."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from siamesekit.data.samplers.batch import Batch
from siamesekit.data.samplers.dealing import batches_of, deal, several
from siamesekit.labels import Labels, label_array
from siamesekit.options import Index, Several
from siamesekit.randomness import generator
from siamesekit.registry import SAMPLERS


@SAMPLERS.register("p-by-k")
class PByKSampler:
    """Batches of some individuals with some photos each, P × K, and no triplets: the loss, or a miner, makes them.

    Every epoch each individual's photos are shuffled and cut into groups of K, the last one of what is left, and the
    groups are dealt so that no individual is twice in a batch: N ≤ P · K photos, indices `[N]`, each photo at most
    once an epoch. Every individual with at least two photos takes part, and is visited about photos / K times. A
    single photo that is left over waits for another epoch. An epoch's order depends on the seed and the epoch alone.
    The size of a batch is P × K: `batch_size` is not used.

    Args:
        individuals: P, in a batch; where one would be left alone in a batch it joins another.
        photos: K, of each individual; all of them where it has fewer.
        labels: `[N]`, supplied by the run.
        seed: supplied by the run.
    """

    def __init__(self, individuals: Several = 16, photos: Several = 4, *, labels: Labels, seed: Index) -> None:
        self.members = several(label_array(labels))
        self.individuals, self.photos = individuals, photos
        self.seed = seed
        self.batches = batches_of(self.members, individuals, photos)

    def __len__(self) -> int:
        return self.batches

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, other ones in each."""
        rng = generator(self.seed, f"p-by-k epoch {epoch}")
        dealt = deal(self.members, self.photos, self.batches, rng)
        for batch in rng.permutation(self.batches):
            yield Batch(torch.from_numpy(dealt[batch]), None)
