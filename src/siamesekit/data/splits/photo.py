"""The split by photo: the photos of each individual train, validate and test."""

from __future__ import annotations

from collections.abc import Iterable

from siamesekit.data.splits.split import Split, Task, split_of


def by_photo(task: Task) -> Split:
    """Shuffle the photos of each individual; `int(n · train)` of them train, and the others or a fold test.

    An individual with a single photo trains.
    """
    return split_of(*photos_split(task, task.photos))


def photos_split(task: Task, individuals: Iterable[str]) -> tuple[list[int], list[int], list[int]]:
    """The training, validation and test photos of some individuals.

    Folds take the shuffled photos in turn, on from one individual to the next, so that their sizes differ by at most 1,
    in all and within each individual.
    """
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    dealt = 0
    for name in individuals:
        shuffled = task.shuffled(task.photos[name])
        if len(shuffled) == 1:
            parts[0].extend(shuffled)
            continue
        if task.options.folds:
            training = [photo for place, photo in enumerate(shuffled, dealt) if not task.in_fold(place)]
            test = [photo for place, photo in enumerate(shuffled, dealt) if task.in_fold(place)]
            dealt += len(shuffled)
        else:
            cut = int(len(shuffled) * task.train)
            training, test = shuffled[:cut], shuffled[cut:]
        kept = task.without_validation(training, fewest=1)
        for part, chosen in zip(parts, (training[:kept], training[kept:], test), strict=True):
            part.extend(chosen)
    return parts
