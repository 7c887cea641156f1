"""Sampler `all-pairs`: every pair of an individual's photos, each with one random negative."""

from __future__ import annotations

from collections.abc import Iterator

from siamesekit.data.samplers.batch import Batch, batches_of_triplets, count_pairs, refuse_too_many
from siamesekit.labels import Labels, label_array
from siamesekit.options import Count, Index, Several
from siamesekit.randomness import generator
from siamesekit.registry import SAMPLERS
from siamesekit.triplets import all_pairs_triplets


@SAMPLERS.register("all-pairs")
class AllPairsSampler:
    """Every pair of an individual's photos is anchor and positive of one triplet, the negative random.

    The list of T triplets is drawn and shuffled once and is the same in every epoch; batches of `batch_size`
    triplets, the last one smaller where it does not fill up. Each batch holds its distinct photos once:
    indices `[N]` and triplets `[batch_size]`.

    Args:
        photos: the photos of an individual that take part are its first so many.
        labels: `[N]`, supplied by the run.
        batch_size: triplets in a batch, of the table `[sampler]`.
        seed: supplied by the run.
    """

    def __init__(self, photos: Several = 10, *, labels: Labels, batch_size: Count, seed: Index) -> None:
        numbers = label_array(labels)
        refuse_too_many(count_pairs(numbers, photos), "all-pairs", "lower sampler.photos, or take random-triplets")
        self.triplets = all_pairs_triplets(numbers, photos, generator(seed, "triplets"))
        self.photos = photos
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.triplets.anchor) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch; the same in each."""
        return batches_of_triplets(self.triplets, self.batch_size)
