"""Sampler `random-triplets`: other random triplets in each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from annotated_types import Ge, Le

from siamesekit.data.samplers.batch import Batch, batches_of_triplets, triplets_in_epoch
from siamesekit.labels import Labels, label_array
from siamesekit.options import Count, Index
from siamesekit.randomness import generator
from siamesekit.registry import SAMPLERS
from siamesekit.triplets import Triplets, random_triplets


@SAMPLERS.register("random-triplets")
class RandomTripletsSampler:
    """Random triplets, other ones in each epoch: a positive pair, either way round, and a negative.

    Each positive pair is drawn as often in an epoch as any other, or once more; the negative is a random photo of a
    random other individual. Batches have `batch_size` triplets, the last one fewer where it does not fill up; each
    holds its distinct photos once: indices `[N]` and triplets `[batch_size]`. An epoch depends on the seed and the
    epoch alone.

    Args:
        triplets: in an epoch; 0: as many as there are positive pairs, so that each comes once.
        labels: `[N]`, supplied by the run.
        batch_size: triplets in a batch, of the table `[sampler]`.
        seed: supplied by the run.
    """

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
        """The batches of an epoch, other ones in each."""
        return batches_of_triplets(self._drawn(epoch), self.batch_size)

    def _drawn(self, epoch: int) -> Triplets:
        return random_triplets(self.labels, self.triplets, generator(self.seed, f"random-triplets epoch {epoch}"))
