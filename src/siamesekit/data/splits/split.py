"""A split: its parts, the kinds of splits, and what a split is asked to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from siamesekit.data.records import Record, individuals_of
from siamesekit.randomness import generator

Kind = Literal["identity", "photo", "column", "time", "encounter", "open-set", "similarity"]
"""What is split: individuals, photos, or photos in wholes that stay together."""
CLOSED_SET: frozenset[Kind] = frozenset({"photo", "column", "time", "encounter", "similarity"})
"""Kinds whose test photos are of individuals that also have photos outside the test part."""
WITH_GALLERY: frozenset[Kind] = CLOSED_SET | {"open-set"}
"""Kinds whose test photos are searched among the photos outside the test part, not among each other."""
Item = TypeVar("Item")


@dataclass(frozen=True)
class Split:
    """Disjoint parts of a data set, as sorted indices of records.

    Attributes:
        train: photos that train.
        validation: photos that select the best epoch; may be empty.
        test: photos that judge the network; they are the queries.
        gallery: photos that neither train nor judge, and are only searched; may be empty.
        left_out: photos in no part: queries without a photo of their individual to be found (`unmatched`).
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    gallery: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Non-empty parts by name."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test, "gallery": self.gallery}
        return {name: part for name, part in parts.items() if part}

    def searched(self) -> tuple[int, ...]:
        """The photos outside the test part, sorted: among them the test photos of a split with a gallery are searched.

        >>> Split(train=(0, 3), validation=(4,), test=(1,), gallery=(2,)).searched()
        (0, 2, 3, 4)
        """
        return tuple(sorted((*self.train, *self.validation, *self.gallery)))


@dataclass(frozen=True)
class SplitOptions:
    """Options of the kinds of splits.

    Attributes:
        column: attribute with the part of each photo; for `column`.
        time: date from which photos test; empty: a share of each individual's photos tests; for `time`.
        encounter: attribute with the encounter of each photo.
        gap_seconds: time between two photos of an individual from which they are two encounters, if no photo has the
            attribute; 0: no encounters from times.
        unseen: share of the individuals that only test; for `open-set`.
        unmatched: what happens to test photos without another photo of their individual outside the test part; for
            `column` and `time`.
        similarity: cosine similarity from which two photos are near-duplicates.
        embeddings: embeddings of the N records, `[N, D]`; None without any.
        folds: number of folds, each of which is the test part once; 0: no folds.
        fold: the fold that tests, from 1.
    """

    column: str = "split"
    time: str = ""
    encounter: str = "encounter"
    gap_seconds: float = 3600.0
    unseen: float = 0.2
    unmatched: Literal["refuse", "leave-out", "new"] = "refuse"
    similarity: float = 0.95
    embeddings: NDArray[Any] | None = field(default=None, compare=False, repr=False)
    folds: int = 0
    fold: int = 1


@dataclass(frozen=True)
class Task:
    """What a split is made of: the records, the shares, and the options.

    Attributes:
        records: records of all photos.
        train: share that trains.
        validation: share of the training part that is set aside for validation.
        test: names of test individuals, in place of a share.
        seed: seed of the run.
        options: options of the kind.
    """

    records: Sequence[Record]
    train: float
    validation: float
    test: Sequence[str]
    seed: int
    options: SplitOptions

    @cached_property
    def rng(self) -> np.random.Generator:
        """The generator of the split."""
        return generator(self.seed, "split")

    @cached_property
    def photos(self) -> dict[str, list[int]]:
        """The photos of each individual, in the order of the records; individuals are sorted by name."""
        photos: dict[str, list[int]] = {name: [] for name in individuals_of(self.records)}
        for index, record in enumerate(self.records):
            photos[record.individual].append(index)
        return photos

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """The items in random order."""
        return [items[i] for i in self.rng.permutation(len(items))]

    def in_fold(self, position: int) -> bool:
        """Whether the item at a position of an order is in the fold that tests."""
        return position % self.options.folds == self.options.fold - 1

    def without_validation(self, training: Sequence[Item], fewest: int, kept: int = 0) -> int:
        """Number of items of a training list that are left when the last ones are set aside for validation.

        Args:
            training: the training individuals, photos or encounters.
            fewest: fewest that are set aside, if any are wanted.
            kept: fewest that go on training.
        """
        aside = max(fewest, int(len(training) * self.validation)) if self.validation else 0
        return max(min(kept, len(training)), len(training) - aside)


def split_of(train: Sequence[int], validation: Sequence[int], test: Sequence[int]) -> Split:
    """The split of three lists of photos."""
    return Split(tuple(sorted(train)), tuple(sorted(validation)), tuple(sorted(test)))
