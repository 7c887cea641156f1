"""Options of `[split]` that do not fit together: each kind of split has some of its own."""

from __future__ import annotations

from collections.abc import Iterator

from siamesekit.config.tables import SplitTable
from siamesekit.data.dates import ACCEPTED_DATES, moment_of

KINDS_WITH: dict[str, tuple[str, ...]] = {
    "column": ("column",),
    "time": ("time",),
    "unseen": ("open-set",),
    "unmatched": ("column", "time"),
}
"""Options that only some kinds of splits have."""


def split_problems(split: SplitTable) -> Iterator[tuple[str, str]]:
    """The options that have no meaning with the others, or none at all: pairs of key and what is wrong."""
    if split.test and split.by != "identity":
        yield "test", 'a list of test individuals needs split.by = "identity"'
    for key, kinds in KINDS_WITH.items():
        if split.by not in kinds and getattr(split, key) != type(split).model_fields[key].default:
            yield key, f"needs split.by = {_either(kinds)}"
    if split.time and moment_of(split.time) is None:
        yield "time", f"must be a date of one of the forms {ACCEPTED_DATES}, not {split.time!r}"
    if split.by == "similarity" and not split.embeddings:
        yield "by", '"similarity" needs embeddings of the photos: set split.embeddings to a .npz of siamesekit embed'
    if not split.embeddings and split.similarity != type(split).model_fields["similarity"].default:
        yield "similarity", "needs split.embeddings"
    yield from _fold_problems(split)


def _fold_problems(split: SplitTable) -> Iterator[tuple[str, str]]:
    if not split.folds:
        if split.fold > 1:
            yield "fold", "needs split.folds, the number of folds"
        return
    if split.folds == 1:
        yield "folds", "must be 0, for none, or at least 2"
    elif split.fold > split.folds:
        yield "fold", f"must be from 1 to split.folds = {split.folds}, not {split.fold}"
    if split.test:
        yield "folds", "the folds take the place of split.test: remove one of the two"
    if split.time:
        yield "folds", "the folds take the place of the date split.time: remove one of the two"
    if split.by == "open-set" and split.unseen * split.folds > 1:
        yield "unseen", f"with {split.folds} folds at most {1 / split.folds:.3g}, a share for each fold"


def _either(kinds: tuple[str, ...]) -> str:
    return " or ".join(f'"{kind}"' for kind in kinds)
