"""Trials of a refined search: what is near depends on the whole gallery, so each gallery is searched anew."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.components.distances.distance import Distance
from siamesekit.gallery.identification import SIZES, Trial, Trials, trial, trials_of
from siamesekit.gallery.refinement import Refinement, Refiner
from siamesekit.gallery.search import MEMORY, Gallery, Scoring, Segments, own_score

EVERY = 2
"""Of the sizes of galleries, each second one is taken, and all individuals: such a search takes longer."""


def refined_trials(
    queries: NDArray[np.int64],
    gallery: Gallery,
    distance: Distance,
    refinement: Refinement,
    scoring: Scoring,
    rng: np.random.Generator,
) -> Trials:
    """Search groups of photos in galleries of several sizes, once with their individual and once without.

    A smaller gallery is a random part of the individuals, and the parts of one size do not overlap. A group is searched
    in the part of its individual, and as a new one in the next part.

    Args:
        queries: the groups, int64 `[Q, together]`, as indices in the gallery.
        gallery: all photos.
        distance: the model's distance.
        refinement: how distances are refined.
        scoring: how the distance to an individual follows from those to its photos.
        rng: draws the galleries.
    """
    count = int(gallery.individuals.max()) + 1
    own = gallery.individuals[queries[:, 0]]
    found: list[Trial] = []
    for size in sorted({min(size, count - 1) for size in SIZES[::EVERY]}):
        if size == count - 1:
            whole = _Part(gallery, np.arange(count), distance, refinement, scoring)
            found += [*whole.trials(queries, known=True), *whole.trials(queries, known=False)]
            continue
        order, parts = rng.permutation(count), count // size
        place = np.argsort(order)[own] // size  # `parts` for individuals that are in none
        for number in range(parts):
            inside, before = place == number, (place + 1) % parts == number
            if not inside.any() and not before.any():
                continue
            part = _Part(gallery, order[number * size : (number + 1) * size], distance, refinement, scoring)
            found += part.trials(queries[inside], known=True)
            found += part.trials(queries[before & ~inside], known=False)
    return trials_of(found)


class _Part:
    """The photos of some individuals, searched.

    Args:
        gallery: all photos.
        individuals: the individuals that are searched.
        distance: the model's distance.
        refinement: how distances are refined.
        scoring: how the distance to an individual follows from those to its photos.
    """

    def __init__(
        self,
        gallery: Gallery,
        individuals: NDArray[np.int64],
        distance: Distance,
        refinement: Refinement,
        scoring: Scoring,
    ) -> None:
        self._gallery, self._scoring = gallery, scoring
        self._photos = np.flatnonzero(np.isin(gallery.individuals, individuals))
        self._individuals = np.sort(individuals)
        self._owner = np.searchsorted(self._individuals, gallery.individuals[self._photos])
        self._segments = Segments(self._owner, len(individuals))
        self._refine = Refiner(gallery.embeddings[torch.from_numpy(self._photos)], distance, refinement)

    def trials(self, groups: NDArray[np.int64], known: bool) -> Iterator[Trial]:
        """Search groups of photos `[G, T]`, with the other photos of their individual or without any."""
        rows = max(1, MEMORY // (8 * len(self._photos) * groups.shape[1]))
        for start in range(0, len(groups), rows):
            yield from self._some(groups[start : start + rows], known)

    def _some(self, groups: NDArray[np.int64], known: bool) -> Iterator[Trial]:
        photos = self._gallery.embeddings[torch.from_numpy(groups.ravel())]
        mine = [int(self._gallery.individuals[group[0]]) for group in groups]
        own = [np.flatnonzero(self._gallery.individuals[self._photos] == each) for each in mine]
        gone = [
            np.flatnonzero(np.isin(self._photos, group)) if known else every
            for group, every in zip(groups, own, strict=True)
        ]
        together = groups.shape[1]
        table = self._refine(photos, [each for each in gone for _ in range(together)])
        for number, (individual, every, without) in enumerate(zip(mine, own, gone, strict=True)):
            moved = table[number * together : (number + 1) * together]
            others = np.setdiff1d(every, without)
            if known and not len(others):
                continue
            scores = self._segments.score(moved, self._scoring).mean(0)
            strange = np.sort(scores[self._individuals != individual])
            yield trial(strange, own_score(moved[:, others], self._scoring) if known else None, individual)
