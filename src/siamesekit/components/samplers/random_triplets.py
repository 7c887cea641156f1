"""Sampler `random-triplets`: new random triplets in each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from annotated_types import Ge, Le

from siamesekit.components.labels import Labels, label_array
from siamesekit.components.samplers.batch import Batch, batches_of_triplets, triplets_in_epoch
from siamesekit.components.samplers.triplets import random_triplets
from siamesekit.components.tuples import Triplets
from siamesekit.options import Count, Index
from siamesekit.randomness import generator
from siamesekit.registry import SAMPLERS


@SAMPLERS.register("random-triplets")
class RandomTripletsSampler:
    """New random triplets in each epoch: a positive pair, in random direction, and a negative.

    In an epoch, the numbers of draws of any two positive pairs differ by at most 1. The negative is a random photo of a
    random other individual. Batches have `batch_size` triplets; the last one may be smaller. Each batch holds its
    distinct photos once: indices `[N]` and triplets `[batch_size]`. An epoch depends on seed and epoch alone.

    Args:
        triplets: number of triplets per epoch; 0 for the number of positive pairs, so that each pair occurs once.
        labels: `[N]`, supplied by the run.
        batch_size: number of triplets per batch, from the table `[sampler]`.
        seed: supplied by the run.
    """

    __module__ = "siamesekit"

    def __init__(
        self,
        triplets: Annotated[int, Ge(0), Le(10_000_000)] = 0,
        *,
        labels: Labels,
        batch_size: Count,
        seed: Index,
    ) -> None:
        self.labels = label_array(labels)
        self.triplets = triplets
        self.batch_size = batch_size
        self.seed = seed
        self.batches = -(-triplets_in_epoch(self.labels, triplets, "random-triplets") // batch_size)

    def __len__(self) -> int:
        return self.batches

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, different in each epoch."""
        return batches_of_triplets(self._drawn(epoch), self.batch_size)

    def _drawn(self, epoch: int) -> Triplets:
        return random_triplets(self.labels, self.triplets, generator(self.seed, f"random-triplets epoch {epoch}"))
