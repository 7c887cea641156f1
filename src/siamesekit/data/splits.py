"""Splits: which photos train, validate and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from siamesekit.data.records import Record, individuals_of
from siamesekit.errors import DataError
from siamesekit.randomness import generator
from siamesekit.wording import near


@dataclass(frozen=True)
class Split:
    """Three disjoint parts of a data set, as sorted indices of records; validation may be empty."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Non-empty parts by name."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in parts.items() if part}


def split_records(
    records: Sequence[Record],
    by: Literal["identity", "photo"],
    train: float,
    validation: float,
    test: Sequence[str],
    seed: int,
) -> Split:
    """Split records into training, validation and test parts.

    By identity, the individuals are shuffled; `int(n · train)` of them train, and the others are the test set. By
    photo, the same is done with the photos of each individual. Then `int(n · validation)` of the training individuals
    (photos) are set aside for validation: at least two individuals, or one photo of each individual.

    Args:
        records: records of all photos.
        by: whether individuals are split, or the photos of each individual.
        train: share of individuals (photos) that train.
        validation: share of the training part that is set aside for validation; 0 for none.
        test: names of the test individuals, in place of a share; only by identity.
        seed: seed of the run.

    Raises:
        DataError: a part would have fewer than two individuals, or none with two photos, or a named individual does not
            exist.
    """
    split = _parts(records, by, train, validation, test, seed)
    lacking = _lacking(split, records, wants_validation=validation > 0)
    if lacking is not None:
        works = "" if test else _that_works(records, by, train, validation, seed)
        raise DataError(
            f"{lacking}; it needs two individuals, one of them with two photos: add photos, or change "
            f"[split]{works} (by = {by!r}, {len(individuals_of(records))} individuals and {len(records)} "
            "photos in all)"
        )
    return split


def _parts(
    records: Sequence[Record],
    by: str,
    train: float,
    validation: float,
    test: Sequence[str],
    seed: int,
) -> Split:
    """`split_records` without its check of the parts."""
    rng = generator(seed, "split")
    photos: dict[str, list[int]] = {name: [] for name in individuals_of(records)}
    for index, record in enumerate(records):
        photos[record.individual].append(index)
    individuals = list(photos)
    for name in test:
        if name not in photos:
            raise DataError(f"split.test names {name!r}, which is not among the individuals{near(name, individuals)}")
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    if by == "identity":
        order = [individuals[i] for i in rng.permutation(len(individuals))]
        cut = int(len(order) * train)
        if test:
            named = set(test)
            order.sort(key=named.__contains__)  # to the end
            cut = len(order) - len(named)
        kept = max(0, cut - (max(2, int(cut * validation)) if validation else 0))
        for part, names in zip(parts, (order[:kept], order[kept:cut], order[cut:]), strict=True):
            part.extend(index for name in names for index in photos[name])
    else:
        for own in photos.values():
            shuffled = [own[i] for i in rng.permutation(len(own))]
            cut = int(len(shuffled) * train)
            kept = max(0, cut - (max(1, int(cut * validation)) if validation else 0))
            for part, chosen in zip(parts, (shuffled[:kept], shuffled[kept:cut], shuffled[cut:]), strict=True):
                part.extend(chosen)
    return Split(*(tuple(sorted(part)) for part in parts))


def _lacking(split: Split, records: Sequence[Record], wants_validation: bool) -> str | None:
    """Message on the first part that lacks positive or negative pairs; None if all parts have both."""
    wanted = {"train": split.train, "test": split.test}
    if wants_validation:
        wanted["validation"] = split.validation
    for name, part in wanted.items():
        counts = Counter(records[i].individual for i in part)
        pairs = sum(count >= 2 for count in counts.values())
        if len(counts) < 2 or pairs < 1:
            return f"the {name} part would have {len(counts)} individuals, {pairs} of them with two photos or more"
    return None


def _that_works(records: Sequence[Record], by: str, train: float, validation: float, seed: int) -> str:
    """The split nearest to the wanted one that these photos allow: `: split.train = 0.7 would do`."""
    shares = sorted((share / 20 for share in range(19, 0, -1)), key=lambda share: abs(share - train))
    for how in (by, *({"identity", "photo"} - {by})):
        for wanted in dict.fromkeys((validation, 0.0)):
            for share in shares:
                split = _parts(records, how, share, wanted, (), seed)
                if _lacking(split, records, wants_validation=wanted > 0) is None:
                    keys = [f"split.train = {share:g}"]
                    keys = keys if how == by else [f'split.by = "{how}"', *keys]
                    keys = keys if wanted == validation else [*keys, 'split.validation = 0 with train.select = "last"']
                    return f": {' and '.join(keys)} would do"
    return ""
