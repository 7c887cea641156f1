"""Leaks of a split: what test photos have in common with photos outside the test part, besides the individual."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from siamesekit.data.records import Record
from siamesekit.data.splits.encounters import NONE, encounters_of
from siamesekit.data.splits.similarity import near_to
from siamesekit.data.splits.sound_parts import unmatched
from siamesekit.data.splits.split import Split, SplitOptions

OUTSIDE = {"train": "training", "validation": "validation", "gallery": "gallery"}
"""What the photos of each part outside the test part are called."""


@dataclass(frozen=True)
class Leaks:
    """Numbers of test photos that share something with a photo outside the test part.

    Attributes:
        test: number of test photos.
        outside: names of the parts outside the test part, in words: `training or gallery`.
        same_encounter: test photos of an encounter that also has photos outside the test part; None if no encounter is
            known.
        unknown_encounter: test photos without a known encounter.
        identical: test photos that the network cannot tell from a photo outside the test part; None if not counted.
        near_duplicates: test photos with an embedding at least `similarity` to one outside the test part; None without
            embeddings.
        similarity: cosine similarity from which two photos are near-duplicates.
        unmatched: test photos whose individual has no photo outside the test part: in a split by identity all.
    """

    test: int
    outside: str
    same_encounter: int | None
    unknown_encounter: int
    identical: int | None
    near_duplicates: int | None
    similarity: float
    unmatched: int

    def sentences(self) -> list[str]:
        """What leaks, one sentence for each count; none about what is unknown, nor that no photos are identical.

        >>> Leaks(309, "training", 212, 0, 0, None, 0.95, 0).sentences()
        ['212 of 309 test photos share an encounter with a training photo.']
        """
        found = []
        if self.same_encounter is not None:
            unknown = f"; the encounter of {self.unknown_encounter} is unknown" if self.unknown_encounter else ""
            found.append(f"{self._count(self.same_encounter)} share an encounter with a {self.outside} photo{unknown}.")
        if self.identical:
            found.append(f"{self._count(self.identical)} have the same pixels as a {self.outside} photo.")
        if self.near_duplicates is not None:
            found.append(
                f"{self._count(self.near_duplicates)} are near-duplicates of a {self.outside} photo (cosine similarity "
                f"of {self.similarity:g} or more)."
            )
        if 0 < self.unmatched < self.test:
            found.append(f"{self._count(self.unmatched)} are of new individuals, without a {self.outside} photo.")
        return found

    def as_json(self) -> dict[str, Any]:
        """The counts by name."""
        return asdict(self)

    def _count(self, count: int) -> str:
        return f"{count} of {self.test} test photos"


def leaks_of(
    records: Sequence[Record], split: Split, options: SplitOptions, pixels: Sequence[Hashable] | None = None
) -> Leaks:
    """Count what leaks from the photos outside the test part into the test.

    Args:
        records: records of all photos.
        split: the split.
        options: options that say what an encounter and a near-duplicate are; near-duplicates need its embeddings.
        pixels: a value for each photo, equal for photos that the network cannot tell apart, such as a digest of its
            pixels.
    """
    test, others = split.test, split.searched()
    encounters = encounters_of(records, options.encounter, options.gap_seconds).tolist()
    known = np.array([encounters[photo] != NONE for photo in test], dtype=bool)
    vectors = options.embeddings
    return Leaks(
        test=len(test),
        outside=_in_words([word for part, word in OUTSIDE.items() if part in split.parts()]),
        same_encounter=_shared(encounters, test, others, NONE) if known.any() else None,
        unknown_encounter=int(np.count_nonzero(~known)),
        identical=None if pixels is None else _shared(pixels, test, others),
        near_duplicates=None
        if vectors is None
        else int(np.count_nonzero(near_to(vectors[list(test)], vectors[list(others)], options.similarity))),
        similarity=options.similarity,
        unmatched=len(unmatched(split, records)),
    )


def _shared(values: Sequence[Hashable], test: Sequence[int], others: Sequence[int], unknown: Hashable = None) -> int:
    """Number of test photos with a value that a photo outside the test part has too."""
    outside = {values[photo] for photo in others} - {unknown}
    return sum(values[photo] in outside for photo in test)


def _in_words(words: Sequence[str]) -> str:
    """`training`, `training or gallery`, `training, validation or gallery`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
