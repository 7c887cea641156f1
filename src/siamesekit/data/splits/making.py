"""Making a split: the parts of its kind, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from siamesekit.data.records import Record, individuals_of
from siamesekit.data.splits.column import by_column
from siamesekit.data.splits.encounter import by_encounter
from siamesekit.data.splits.identity import by_identity
from siamesekit.data.splits.open_set import by_open_set
from siamesekit.data.splits.photo import by_photo
from siamesekit.data.splits.similarity import by_similarity
from siamesekit.data.splits.sound_parts import lacking, settled, unmatched
from siamesekit.data.splits.split import WITH_GALLERY, Kind, Split, SplitOptions, Task
from siamesekit.data.splits.time import by_time
from siamesekit.errors import DataError

BY: dict[Kind, Callable[[Task], Split]] = {
    "identity": by_identity,
    "photo": by_photo,
    "column": by_column,
    "time": by_time,
    "encounter": by_encounter,
    "open-set": by_open_set,
    "similarity": by_similarity,
}
SHARED: tuple[Kind, ...] = ("identity", "photo")
"""Kinds that need nothing but photos and a share, so that a share that works can be suggested."""
NO_OPTIONS = SplitOptions()


def split_records(
    records: Sequence[Record],
    by: Kind,
    train: float,
    validation: float,
    test: Sequence[str],
    seed: int,
    options: SplitOptions = NO_OPTIONS,
) -> Split:
    """Split records into training, validation and test parts, and for `column` a gallery.

    The functions of each kind, such as `by_identity`, say how. In all of them `int(n · validation)` of the n training
    individuals (photos, encounters) are set aside for validation: at least two individuals, or one photo or encounter
    of each individual.

    Args:
        records: records of all photos, whose individuals are known.
        by: what is split.
        train: share of individuals (photos, encounters) that train.
        validation: share of the training part that is set aside for validation; 0 for none.
        test: names of the test individuals, in place of a share; only by identity.
        seed: seed of the run.
        options: options of the kinds.

    Raises:
        DataError: a part cannot train, select or test; a named individual does not exist; photos lack what the kind
            needs; or test photos have no photo of their individual to be found.
    """
    if options.folds and not 1 <= options.fold <= options.folds:
        raise DataError(f"split.fold = {options.fold} must be from 1 to split.folds = {options.folds}")
    task = Task(records, train, validation, test, seed, options)
    split = BY[by](task)
    if by in ("column", "time"):
        split = settled(split, records, by, options.unmatched)
    wants_validation = bool(split.validation) if by == "column" else validation > 0
    message = _lacking(split, records, by, wants_validation)
    if message is not None:
        works = "" if test or options.folds or by not in SHARED else _that_works(task, by)
        raise DataError(
            f"{message}: add photos, or change [split]{works} (by = {by!r}, {len(individuals_of(records))} individuals "
            f"and {len(records)} photos in all)"
        )
    return split


def searches_gallery(by: Kind, split: Split, records: Sequence[Record]) -> bool:
    """Whether test photos are searched among the photos outside the test part, by default.

    They are in all kinds but `identity`, and in a split by `column` unless no test individual is outside the test part.
    """
    return by in WITH_GALLERY and not (by == "column" and len(unmatched(split, records)) == len(split.test))


def _lacking(split: Split, records: Sequence[Record], by: Kind, wants_validation: bool) -> str | None:
    """Message on the first part that cannot serve; None if all can.

    The test part of a split by photo needs pairs of its own all the same, so that it can also be judged without a
    gallery.
    """
    return lacking(split, records, wants_validation, by != "photo" and searches_gallery(by, split, records))


def _that_works(task: Task, by: Kind) -> str:
    """The split nearest to the wanted one that these photos allow: `: split.train = 0.7 would do`."""
    shares = sorted((share / 20 for share in range(19, 0, -1)), key=lambda share: abs(share - task.train))
    for how in (by, *(kind for kind in SHARED if kind != by)):
        for wanted in dict.fromkeys((task.validation, 0.0)):
            for share in shares:
                split = BY[how](Task(task.records, share, wanted, (), task.seed, task.options))
                if _lacking(split, task.records, how, wanted > 0) is None:
                    keys = [f"split.train = {share:g}"]
                    keys = keys if how == by else [f'split.by = "{how}"', *keys]
                    keys = keys if wanted == task.validation else [
                        *keys, 'split.validation = 0 with train.select = "last"'
                    ]  # fmt: skip
                    return f": {' and '.join(keys)} would do"
    return ""
