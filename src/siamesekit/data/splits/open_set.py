"""The open-set split: some individuals only test, and the photos of the others are split."""

from __future__ import annotations

from siamesekit.data.splits.photo import photos_split
from siamesekit.data.splits.split import Split, Task, split_of


def by_open_set(task: Task) -> Split:
    """Keep `int(n · unseen)` random individuals out of all parts but the test, at least one; split the others by photo.

    With k folds, as many individuals are unseen in each fold, others in every fold; in the folds in which they are not,
    all their photos train. The photos of individuals that are unseen in no fold are dealt to the folds.
    """
    options, order = task.options, task.shuffled(list(task.photos))
    count = max(1, int(len(order) * options.unseen))
    whole = order[: count * max(1, options.folds)]
    unseen = [name for place, name in enumerate(whole) if not options.folds or task.in_fold(place)]
    train, validation, test = photos_split(task, sorted(order[len(whole) :]))
    train += [photo for name in sorted({*whole} - {*unseen}) for photo in task.photos[name]]
    test += [photo for name in unseen for photo in task.photos[name]]
    return split_of(train, validation, test)
