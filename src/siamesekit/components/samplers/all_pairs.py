"""Sampler `all-pairs`: every positive pair, with one random negative."""

from __future__ import annotations

from collections.abc import Iterator

from siamesekit.components.labels import Labels, label_array
from siamesekit.components.samplers.batch import Batch, batches_of_triplets, count_pairs, refuse_too_many
from siamesekit.components.samplers.triplets import all_pairs_triplets
from siamesekit.options import Count, Index, Several
from siamesekit.randomness import generator
from siamesekit.registry import SAMPLERS


@SAMPLERS.register("all-pairs")
class AllPairsSampler:
    """One triplet for every positive pair, with a random negative; the same triplets in every epoch.

    The list of T triplets is drawn and shuffled once, then split into batches of `batch_size` triplets; the last batch
    may be smaller. Each batch holds its distinct photos once: indices `[N]` and triplets `[batch_size]`.

    Args:
        photos: number of photos of each individual that are used, in the order of the data set.
        labels: `[N]`, supplied by the run.
        batch_size: number of triplets per batch, from the table `[sampler]`.
        seed: supplied by the run.
    """

    __module__ = "siamesekit"

    def __init__(self, photos: Several = 10, *, labels: Labels, batch_size: Count, seed: Index) -> None:
        numbers = label_array(labels)
        refuse_too_many(count_pairs(numbers, photos), "all-pairs", "lower sampler.photos, or take random-triplets")
        self.triplets = all_pairs_triplets(numbers, photos, generator(seed, "triplets"))
        self.photos = photos
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.triplets.anchor) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, the same in every epoch."""
        return batches_of_triplets(self.triplets, self.batch_size)
