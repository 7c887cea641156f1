"""The split by column: the table says which photos train, validate, test, or are only searched."""

from __future__ import annotations

import re
from collections.abc import Sequence

from siamesekit.data.records import Record
from siamesekit.data.splits.split import Split, Task
from siamesekit.errors import DataError
from siamesekit.wording import first_lines, first_of, near

WORDS = {
    "train": "train",
    "validation": "validation", "valid": "validation", "val": "validation",
    "test": "test", "query": "test",
    "gallery": "gallery", "database": "gallery",
}  # fmt: skip
"""Words of the column, in lower case, and the part that each means."""
SHOWN, SHOWN_PHOTOS = 10, 3


def part_of(word: str) -> str | None:
    """The part that a word of the column means, in upper or lower case; None if it means none.

    >>> part_of("Query"), part_of("north")
    ('test', None)
    """
    return WORDS.get(word.lower())


def parts_told(records: Sequence[Record], column: str = "split") -> dict[str, str]:
    """The part of each photo by its name, as a column of the table says; empty if no photo has one, or a word is no
    part's.

    >>> from pathlib import Path
    >>> parts_told([Record("1.jpg", "a", Path("1.jpg"), attributes={"split": "Query"})])
    {'1.jpg': 'test'}
    """
    words = {record.name: word for record, word in zip(records, _words(records, column), strict=True) if word}
    parts = {name: part for name, word in words.items() if (part := part_of(word))}
    return parts if len(parts) == len(words) else {}


def by_column(task: Task) -> Split:
    """Take each photo's part from an attribute; upper and lower case are the same.

    If no photo trains, those of the gallery do, and they are searched all the same. If no photo validates, a share of
    each individual's training photos does; one at least trains. With k folds, the column has k different values, each
    the name of a fold.

    Raises:
        DataError: the column is missing, a word is unknown or empty, or no photo trains or tests.
    """
    column = task.options.column
    words = _words(task.records, column)
    if not any(words):
        there = sorted({name for record in task.records for name in record.attributes})
        known = f"the columns are {first_of(there, SHOWN)}" if there else "the photos have no further columns"
        raise DataError(
            f"no photo has a column {column!r}{near(column, there)}: name the one that says who trains and tests with "
            f"split.column; {known}"
        )
    if task.options.folds:
        return _with_validation(task, _folds(task, words))
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": [], "gallery": []}
    for photo, word in enumerate(words):
        part = part_of(word)
        if part is None:
            raise _unknown(task.records, words, column)
        parts[part].append(photo)
    if not parts["train"]:
        parts["train"], parts["gallery"] = parts["gallery"], []
    for part, meant in (("train", "train or gallery"), ("test", "test or query")):
        if not parts[part]:
            raise DataError(f"column {column!r} says {meant} for no photo: name another column with split.column")
    split = Split(*(tuple(parts[part]) for part in ("train", "validation", "test", "gallery")))
    return split if split.validation else _with_validation(task, split)


def _words(records: Sequence[Record], column: str) -> list[str]:
    """What the column says of each photo; empty for one of which it says nothing."""
    return [record.attributes.get(column, "").strip() for record in records]


def _folds(task: Task, words: Sequence[str]) -> Split:
    """The split whose test part is one of the folds that the column names."""
    column, folds = task.options.column, task.options.folds
    if (empty := words.count("")) > 0:
        names = [record.name for record, word in zip(task.records, words, strict=True) if not word]
        raise DataError(f"{empty} photos have no fold in column {column!r}: {first_of(names, SHOWN)}; complete it")
    named = sorted(
        set(words), key=lambda word: [(not part.isdigit(), part.zfill(9)) for part in re.split(r"(\d+)", word)]
    )
    if len(named) != folds:
        raise DataError(
            f"column {column!r} has {len(named)} different values ({first_of(named, SHOWN)}), not one for each of "
            f"split.folds = {folds}: set split.folds to their number, or name another column with split.column"
        )
    chosen = named[task.options.fold - 1]
    return Split(
        tuple(photo for photo, word in enumerate(words) if word != chosen),
        (),
        tuple(photo for photo, word in enumerate(words) if word == chosen),
    )


def _with_validation(task: Task, split: Split) -> Split:
    """Set a share of each individual's training photos aside for validation; one at least trains."""
    if not task.validation:
        return split
    training, train, validation = set(split.train), [], []
    for own in task.photos.values():
        shuffled = task.shuffled([photo for photo in own if photo in training])
        kept = task.without_validation(shuffled, fewest=1, kept=1)
        train += shuffled[:kept]
        validation += shuffled[kept:]
    return Split(tuple(sorted(train)), tuple(sorted(validation)), split.test, split.gallery)


def _unknown(records: Sequence[Record], words: Sequence[str], column: str) -> DataError:
    """The error about words that mean no part, each with its number of photos and the first of them."""
    photos: dict[str, list[str]] = {}
    for record, word in zip(records, words, strict=True):
        if part_of(word) is None:
            photos.setdefault(word, []).append(record.name)
    lines = [
        f"{f'{word!r}{near(word.lower(), WORDS)}' if word else 'empty'}: {len(names)} photo{'s' * (len(names) > 1)}, "
        f"{first_of(names, SHOWN_PHOTOS)}"
        for word, names in sorted(photos.items(), key=lambda pair: -len(pair[1]))
    ]
    return DataError(
        f"column {column!r} says for {sum(map(len, photos.values()))} of {len(records)} photos no part that is known: "
        f"write train, validation (val, valid), test (query) or gallery (database), or name another column with "
        "split.column",
        first_lines(lines, SHOWN),
    )
