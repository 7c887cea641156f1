"""Groups of photos that stay on one side of a split, such as encounters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from siamesekit.data.splits.split import Split, Task, split_of

Members = list[list[int]]
"""The individuals of each group, as numbers."""


def whole_groups(task: Task, group_of: NDArray[np.int64]) -> Split:
    """Split the photos of each individual so that no group is in two parts.

    Of an individual's n groups `int(n · train)` train, at least one, and the others test. A group may hold photos of
    several individuals; it tests only if that is within the number of each of them, so every individual trains. With k
    folds, each group is in the fold that has the fewest groups of its individuals so far; the only group of an
    individual trains in every fold.

    Args:
        task: records and shares.
        group_of: number of the group of each photo, `[N]`.
    """
    groups, group_of = np.unique(group_of, return_inverse=True)
    members: Members = [[] for _ in groups]
    listed = group_of.tolist()
    for individual, photos in enumerate(task.photos.values()):
        for group in {listed[photo] for photo in photos}:
            members[group].append(individual)
    order = task.shuffled(range(len(members)))
    counts = _counts(order, members, len(task.photos))
    if task.options.folds:
        test = _fold(task, order, members, counts)
    else:
        test = _within(order, members, [count - max(1, int(count * task.train)) for count in counts])
    training = [group for group in order if group not in test]
    left = _counts(training, members, len(counts))
    aside = [count - task.without_validation(range(count), fewest=1, kept=1) for count in left]
    part_of = np.zeros(len(members), dtype=np.int64)
    part_of[[*_within(training, members, aside)]] = 1
    part_of[[*test]] = 2
    return split_of(*(np.flatnonzero(part_of[group_of] == part).tolist() for part in range(3)))


def _counts(groups: Iterable[int], members: Members, individuals: int) -> list[int]:
    """Number of groups of each individual."""
    counts = [0] * individuals
    for group in groups:
        for individual in members[group]:
            counts[individual] += 1
    return counts


def _within(order: Iterable[int], members: Members, most: list[int]) -> set[int]:
    """The groups that are taken in order, each if all its individuals may still have one taken."""
    taken = set()
    for group in order:
        if all(most[individual] > 0 for individual in members[group]):
            taken.add(group)
            for individual in members[group]:
                most[individual] -= 1
    return taken


def _fold(task: Task, order: Iterable[int], members: Members, counts: Sequence[int]) -> set[int]:
    """The groups of the fold that tests."""
    folds, wanted = range(task.options.folds), task.options.fold - 1
    sizes = [0] * len(folds)
    own: dict[int, list[int]] = {}
    test = set()
    for group in order:
        loads = [own.setdefault(individual, [0] * len(folds)) for individual in members[group]]
        totals = [(sum(load[fold] for load in loads), sizes[fold], fold) for fold in folds]
        fold = min(totals)[2]
        if any(load[fold] + 1 == counts[i] for load, i in zip(loads, members[group], strict=True)):
            continue  # in the test, it would leave nothing of an individual that trains
        sizes[fold] += 1
        for load in loads:
            load[fold] += 1
        if fold == wanted:
            test.add(group)
    return test
