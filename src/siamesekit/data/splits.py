"""Splits: which photos train, validate and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from siamesekit.data.records import Record, individuals_of
from siamesekit.errors import DataError, near
from siamesekit.randomness import generator


@dataclass(frozen=True)
class Split:
    """Indices of records: three disjoint parts, each sorted; validation may be empty."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    def parts(self) -> dict[str, tuple[int, ...]]:
        """The parts that are not empty, by name."""
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

    By identity, individuals are shuffled and `int(n · train)` of them train, the rest test; by photo the same is
    done with each individual's photos. Of what trains, `int(n · validation)` is then set aside, at least two
    individuals (or one photo of each).

    Args:
        by: what is split.
        train: share that trains.
        validation: share of the training part that validates instead; 0 for none.
        test: individuals that test, in place of a share; only by identity.
        seed: the run's.

    Raises:
        DataError: a part would have fewer than two individuals with two photos or more, or a named individual
            is not there.
    """
    split = _parts(records, by, train, validation, test, seed)
    lacking = _lacking(split, records, wants_validation=validation > 0)
    if lacking is not None:
        works = "" if test else _that_works(records, by, train, validation, seed)
        raise DataError(f"{lacking}; it needs two individuals, one of them with two photos: add photos, or change "
                        f"[split]{works} (by = {by!r}, {len(individuals_of(records))} individuals and {len(records)} "
                        "photos in all)")  # fmt: skip
    return split


def _parts(
    records: Sequence[Record],
    by: str,
    train: float,
    validation: float,
    test: Sequence[str],
    seed: int,
) -> Split:
    """`split_records`, parts too small included."""
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
    """Which part has no positive pair in it, or no negative to it; None where each has both."""
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
    """A split that these photos allow, the nearest to what is wanted: `: split.train = 0.7 works`."""
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
