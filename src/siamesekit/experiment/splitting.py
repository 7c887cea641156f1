"""The split of a run's photos: as the config asks, with what it leaves out and what it leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from siamesekit.config import Config
from siamesekit.data.loading import LOADED, UnusablePhoto
from siamesekit.data.records import Record, individuals_of
from siamesekit.data.splits import Leaks, Split, SplitOptions, leaks_of, split_records
from siamesekit.data.splits.embedding_table import embeddings_from
from siamesekit.errors import DataError
from siamesekit.wording import first_of

SHOWN = 10
UNMATCHED = "its individual has no photo outside the test part, among which it could be found"
DIGEST_BYTES = 16


class RunSplit(NamedTuple):
    """The photos of a run that are in a part, and their split.

    Attributes:
        records: the photos.
        split: their parts.
        options: the options of the split, with the embeddings of these photos if a file of them is named.
        left_out: the photos in no part.
        notes: notes about them.
    """

    records: list[Record]
    split: Split
    options: SplitOptions
    left_out: list[UnusablePhoto]
    notes: list[str]


def split_of_run(records: list[Record], config: Config) -> RunSplit:
    """Split the photos of a run.

    Raises:
        DataError: the photos cannot be split as asked.
    """
    individuals = individuals_of(records)
    if len(individuals) < 2:
        raise DataError(f"found {len(individuals)} individuals; training needs at least two")
    table, options = config.split, split_options(records, config)
    split = split_records(records, table.by, table.train, table.validation, table.test, config.seed, options)
    if config.train.select == "validation":
        _refuse_without_pairs(records, split)
    if not split.left_out:
        return RunSplit(records, split, options, [], [])
    left = [records[photo].name for photo in split.left_out]
    kept = split.parts().values()
    number_of = {photo: number for number, photo in enumerate(sorted(photo for part in kept for photo in part))}
    parts = {name: tuple(number_of[photo] for photo in part) for name, part in split.parts().items()}
    if options.embeddings is not None:
        options = replace(options, embeddings=options.embeddings[list(number_of)])
    return RunSplit(
        [records[photo] for photo in number_of],
        replace(Split((), (), ()), **parts),
        options,
        [UnusablePhoto(name, UNMATCHED, "add photos of it") for name in left],
        [
            f"{len(left)} test photos without a photo of their individual to be found were left out: "
            f"{first_of(left, SHOWN)}"
        ],
    )


def _refuse_without_pairs(records: Sequence[Record], split: Split) -> None:
    """Refuse to select the epoch by validation photos among which no individual could be found again."""
    photos = Counter(records[photo].individual for photo in split.validation)
    if len(photos) < 2 or max(photos.values()) < 2:
        raise DataError(
            'train.select = "validation" needs validation photos of two individuals, two photos of one of them, and '
            f"the split gives {len(split.validation)} photos of {len(photos)} individuals: raise split.validation, "
            'name more validation photos in the column, or set train.select = "last"'
        )


def split_options(records: Sequence[Record], config: Config) -> SplitOptions:
    """The config's options of the split, with the embeddings of these records if a file of them is named.

    Raises:
        DataError: the file cannot be used.
    """
    table = config.split
    given = {each.name: getattr(table, each.name) for each in fields(SplitOptions) if each.name != "embeddings"}
    return SplitOptions(
        **given, embeddings=embeddings_from(Path(table.embeddings), records) if table.embeddings else None
    )


def leaks_of_run(made: RunSplit, images: Tensor) -> Leaks:
    """What leaks from the other photos of a run into its test photos.

    Args:
        made: the N photos and their split.
        images: images uint8 `[N, 3, size, size]`, as the network sees them.
    """
    pixels = [
        blake2b(image.tobytes(), digest_size=DIGEST_BYTES).digest()
        for chunk in images.split(LOADED)
        for image in chunk.numpy()
    ]
    return leaks_of(made.records, made.split, made.options, pixels)
