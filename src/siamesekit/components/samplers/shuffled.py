"""Sampler `shuffled`: every training photo once per epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from siamesekit.components.labels import Labels, label_array
from siamesekit.components.samplers.batch import Batch
from siamesekit.options import Count, Index
from siamesekit.randomness import generator
from siamesekit.registry import SAMPLERS


@SAMPLERS.register("shuffled")
class ShuffledSampler:
    """Batches of random photos, each photo exactly once per epoch, without triplets: for losses by class.

    The N photos are shuffled and divided evenly into ⌈N / batch_size⌉ batches, indices `[n]`, whose sizes differ by at
    most 1. Individuals with a single photo take part. The order depends on seed and epoch alone. A loss over pairs or
    triplets rarely finds a positive pair in such batches, unless they are large: take `p-by-k` for it.

    Args:
        labels: `[N]`, supplied by the run.
        batch_size: largest number of photos in a batch, from `[sampler]`.
        seed: supplied by the run.
    """

    __module__ = "siamesekit"

    def __init__(self, *, labels: Labels, batch_size: Count, seed: Index) -> None:
        self.photos = len(label_array(labels))
        self.batch_size = batch_size
        self.seed = seed

    def __len__(self) -> int:
        return -(-self.photos // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, different in each epoch."""
        order = generator(self.seed, f"shuffled epoch {epoch}").permutation(self.photos)
        for photos in np.array_split(order, max(1, len(self))):
            if len(photos):
                yield Batch(torch.from_numpy(photos), None)
