"""The split by time: earlier photos train, later photos test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from siamesekit.data.dates import ACCEPTED_DATES, moment_of
from siamesekit.data.records import Record
from siamesekit.data.splits.dates_of import DATE, UNKNOWN, microseconds, moments_of
from siamesekit.data.splits.split import Split, Task, split_of
from siamesekit.errors import DataError
from siamesekit.wording import first_lines, line_of_name

SHOWN = 10


def by_time(task: Task) -> Split:
    """Photos from a date on test, or the last of each individual's photos; the earlier ones train.

    Without a date, `int(n · train)` photos of each individual train, at least one, and the later ones test. Validation
    takes the last of each individual's earlier photos; one at least trains. Photos of the same moment are in order of
    their names. With k folds, each individual's photos are cut into k blocks of time, and one of the blocks tests;
    which of them begins changes from one individual to the next, so that the folds are about equally large.

    Raises:
        DataError: photos have no date, or a text that is none.
    """
    begin = moment_of(task.options.time)
    if task.options.time and begin is None:
        raise DataError(f"split.time: must be a date of one of the forms {ACCEPTED_DATES}, not {task.options.time!r}")
    moments, folds, fold = _moments(task.records), task.options.folds, task.options.fold
    by_name = np.array(sorted(range(len(moments)), key=[record.name for record in task.records].__getitem__))
    rank = np.empty(len(moments), dtype=np.int64)
    rank[by_name[np.argsort(moments[by_name], kind="stable")]] = np.arange(len(moments))
    place, later = rank.tolist(), (moments >= microseconds(begin)).tolist()
    train: list[int] = []
    validation: list[int] = []
    test: list[int] = []
    for number, own in enumerate(task.photos.values()):
        order = sorted(own, key=place.__getitem__)
        count = len(order)
        if begin is not None:
            start, end = count - sum(later[photo] for photo in order), count
        elif count == 1:
            start, end = 1, 1
        elif folds:
            block = (fold - 1 + number) % folds
            start, end = block * count // folds, (block + 1) * count // folds
        else:
            start, end = max(1, int(count * task.train)), count
        training = [*order[:start], *order[end:]]
        kept = task.without_validation(training, fewest=1, kept=1)
        train += training[:kept]
        validation += training[kept:]
        test += order[start:end]
    return split_of(train, validation, test)


def _moments(records: Sequence[Record]) -> NDArray[np.int64]:
    """The moment of each photo in microseconds, `[N]`.

    Raises:
        DataError: photos have no date, or a text that is none.
    """
    moments = moments_of(records)
    without = np.flatnonzero(moments == UNKNOWN).tolist()
    if without:
        bad = []
        for record in (records[photo] for photo in without):
            text = record.attributes.get(DATE, "")
            bad.append(f"{line_of_name(record.name)}: " + (f"{text!r} is no date" if text.strip() else "no date"))
        raise DataError(
            f'{len(bad)} of {len(records)} photos have no date, which split.by = "time" needs: give each a {DATE!r} '
            f"in one of the forms {ACCEPTED_DATES}, take these photos out of the data, or choose another split.by",
            first_lines(bad, SHOWN),
        )
    return moments
