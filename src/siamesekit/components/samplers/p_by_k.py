"""Sampler `p-by-k`: batches of P individuals with K photos each."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from siamesekit.components.labels import Labels, label_array
from siamesekit.components.samplers.batch import Batch
from siamesekit.components.samplers.grouping import batches_of, deal, several
from siamesekit.options import Index, Several
from siamesekit.randomness import generator
from siamesekit.registry import SAMPLERS


@SAMPLERS.register("p-by-k")
class PByKSampler:
    """Batches of P individuals with K photos each, without triplets; the loss or a miner forms them.

    In each epoch the photos of each individual are shuffled and split into groups of K, the last one smaller, and
    the groups are dealt so that no individual is twice in a batch: N ≤ P · K photos, indices `[N]`, each photo at most
    once per epoch. Every individual with at least two photos is used, about photos / K times per epoch. A single
    remaining photo is left out of the epoch. The order depends on seed and epoch alone. The batch size is P × K;
    `batch_size` is not used.

    Args:
        individuals: P, number of individuals per batch; one that would be alone in a batch joins another.
        photos: K, number of photos per individual in a batch; all photos if it has fewer.
        labels: `[N]`, supplied by the run.
        seed: supplied by the run.
    """

    __module__ = "siamesekit"

    def __init__(self, individuals: Several = 16, photos: Several = 4, *, labels: Labels, seed: Index) -> None:
        self.members = several(label_array(labels))
        self.individuals, self.photos = individuals, photos
        self.seed = seed
        self.batches = batches_of(self.members, individuals, photos)

    def __len__(self) -> int:
        return self.batches

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, different in each epoch."""
        rng = generator(self.seed, f"p-by-k epoch {epoch}")
        dealt = deal(self.members, self.photos, self.batches, rng)
        for batch in rng.permutation(self.batches):
            yield Batch(torch.from_numpy(dealt[batch]), None)
