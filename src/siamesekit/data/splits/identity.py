"""The split by identity: whole individuals train, validate or test."""

from __future__ import annotations

from collections.abc import Sequence

from siamesekit.data.splits.split import Split, Task, split_of
from siamesekit.errors import DataError
from siamesekit.wording import near


def by_identity(task: Task) -> Split:
    """Shuffle the individuals; `int(n · train)` of them train, and the others, the named ones or a fold test.

    Raises:
        DataError: a named test individual does not exist.
    """
    individuals = list(task.photos)
    for name in task.test:
        if name not in task.photos:
            raise DataError(f"split.test names {name!r}, which is not among the individuals{near(name, individuals)}")
    order = task.shuffled(individuals)
    if task.test:
        named = set(task.test)
        training, test = [n for n in order if n not in named], [n for n in order if n in named]
    elif task.options.folds:
        training = [name for place, name in enumerate(order) if not task.in_fold(place)]
        test = [name for place, name in enumerate(order) if task.in_fold(place)]
    else:
        cut = int(len(order) * task.train)
        training, test = order[:cut], order[cut:]
    kept = task.without_validation(training, fewest=2)

    def photos_of(names: Sequence[str]) -> list[int]:
        return [photo for name in names for photo in task.photos[name]]

    return split_of(photos_of(training[:kept]), photos_of(training[kept:]), photos_of(test))
