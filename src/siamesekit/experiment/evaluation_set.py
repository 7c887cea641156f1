"""The photos that judge a network, and who is searched among whom, from `[evaluation]` and the split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.tuples import Triplets
from siamesekit.config import Config
from siamesekit.config.tables import SplitTable
from siamesekit.data.records import Record
from siamesekit.data.splits import Split, searches_gallery
from siamesekit.data.splits.encounters import encounters_of
from siamesekit.engine.test_set import triplets_for_accuracy
from siamesekit.errors import DataError
from siamesekit.evaluation.protocol import Protocol
from siamesekit.experiment.columns import no_such_column
from siamesekit.experiment.dataset import Dataset
from siamesekit.wording import first_of

SHOWN_PHOTOS = 5
GALLERIES = {
    "test": "the other test photos",
    "train": "the photos that did not test",
    "all": "all other photos",
}
"""What is searched, in words, by `evaluation.gallery`."""


@dataclass(frozen=True)
class EvaluationSet:
    """The N photos that judge a network: the test photos, then the other photos that are searched.

    Attributes:
        photos: the photos as indices into the data set, int64 `[N]`.
        labels: labels of the photos, int64 `[N]`.
        names: names of the photos.
        individuals: names of the photos' individuals.
        tested: number of test photos; they come first.
        triplets: triplets of the test photos for the triplet accuracy, as for each epoch (`TestSet`).
        unseen: bool `[tested]`, whether a test photo shows an individual that did not train.
        protocol: who is searched among whom; the test photos are the queries.
        searched: what is searched, in words.
        encounters: numbers of the photos' encounters, int64 `[N]`, −1 for unknown; None if no encounters are known.
        groups: for each column of `evaluation.groups` that the photos have, the value of each photo.
        exclude: columns of `evaluation.exclude`.
        encounter_column: name of the column of encounters.
    """

    photos: Tensor
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    individuals: tuple[str, ...]
    tested: int
    triplets: Triplets
    unseen: NDArray[np.bool_]
    protocol: Protocol
    searched: str
    encounters: Tensor | None
    groups: dict[str, tuple[str, ...]]
    exclude: tuple[str, ...]
    encounter_column: str

    @cached_property
    def in_gallery(self) -> NDArray[np.bool_]:
        """Whether each query's individual has a gallery photo other than the query, bool `[Q]`."""
        alone = Protocol(self.protocol.queries, self.protocol.gallery)
        return (alone.relevant(torch.from_numpy(self.labels)) > 0).numpy()

    @cached_property
    def answerable(self) -> NDArray[np.bool_]:
        """Whether each query can find a photo of its individual, bool `[Q]`."""
        return (self.protocol.relevant(torch.from_numpy(self.labels)) > 0).numpy()

    def notes(self) -> list[str]:
        """Notes on queries that have no photo to find."""
        known, answerable = self.in_gallery, self.answerable
        notes = []
        for lost, why in (
            (~known, f"have no photo of their individual among {self.searched}"),
            (known & ~answerable, f"share the {' and '.join(self.exclude)} of all photos of their individual"),
        ):
            if lost.any():
                names = first_of([self.names[query] for query in np.flatnonzero(lost)], SHOWN_PHOTOS)
                notes.append(
                    f"{lost.sum()} of {len(lost)} queries {why}, and are left out of the retrieval figures: {names}"
                )
        return notes


def evaluation_set(config: Config, data: Dataset) -> EvaluationSet:
    """The photos that judge a run's networks.

    Raises:
        DataError: no query has a photo of its individual to find, or a column does not exist.
    """
    return evaluation_set_of(config, data.records, data.labels, data.split)


def evaluation_set_of(
    config: Config, records: Sequence[Record], labels: NDArray[np.int64], split: Split
) -> EvaluationSet:
    """The photos that judge networks, and who is searched among whom.

    Args:
        config: gallery, excluded columns, groups, kind of the split, and what an encounter is.
        records: records of all photos.
        labels: labels of all photos, int64 `[N]`.
        split: parts of the photos; the test photos are the queries.

    Raises:
        DataError: no query has a photo of its individual to find, or a column does not exist.
    """
    settings, table = config.evaluation, config.split
    which = settings.gallery
    if which == "auto":
        which = "train" if searches_gallery(table.by, split, records) else "test"
    test = list(split.test)
    others = () if which == "test" else split.searched()
    photos = [*test, *others]
    gallery = torch.arange(0 if which != "train" else len(test), len(photos))
    encounters = encounters_of(records, table.encounter, table.gap_seconds)[photos]
    records, trained = [records[photo] for photo in photos], labels[list(split.train)]
    labels = labels[photos]
    made = EvaluationSet(
        photos=torch.tensor(photos),
        labels=labels,
        names=tuple(record.name for record in records),
        individuals=tuple(record.individual for record in records),
        tested=len(test),
        triplets=triplets_for_accuracy(labels[: len(test)], config.seed),
        unseen=~np.isin(labels[: len(test)], trained),
        protocol=Protocol(torch.arange(len(test)), gallery, _apart(records, settings.exclude, table, encounters)),
        searched=GALLERIES[which],
        encounters=torch.from_numpy(encounters) if (encounters >= 0).any() else None,
        groups={
            column: tuple(record.attributes.get(column, "") for record in records)
            for column in settings.groups
            if any(record.attributes.get(column) for record in records)
        },
        exclude=settings.exclude,
        encounter_column=table.encounter,
    )
    if not made.answerable.any():
        raise DataError(
            f"no test photo has a photo of its individual to find among {made.searched}"
            + (f" of another {' and '.join(settings.exclude)}" if settings.exclude else "")
            + ": change [split], evaluation.gallery or evaluation.exclude",
            made.notes(),
        )
    return made


def _apart(
    records: Sequence[Record], columns: Sequence[str], table: SplitTable, encounters: NDArray[np.int64]
) -> Tensor | None:
    """Group of each photo by its values in some columns, int64 `[N]`, −1 if one is unknown; None without columns."""
    if not columns:
        return None
    values: list[Sequence[str]] = []
    for column in columns:
        value = [record.attributes.get(column, "") for record in records]
        if column == table.encounter:
            value = ["" if number < 0 else str(number) for number in encounters]
        if not any(value):
            raise no_such_column("evaluation.exclude", column, records)
        values.append(value)
    number: dict[tuple[str, ...], int] = {}
    rows = list(zip(*values, strict=True))
    return torch.tensor([number.setdefault(row, len(number)) if all(row) else -1 for row in rows])
