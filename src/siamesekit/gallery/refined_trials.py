"""Trials of a refined search: what is near depends on the whole gallery, so each gallery is searched anew."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from siamesekit.components.distances.distance import Distance
from siamesekit.evaluation.intervals import Floats
from siamesekit.gallery.identification import SIZES, Trial, Trials, trial, trials_of
from siamesekit.gallery.refinement import Refinement, Refiner
from siamesekit.gallery.search import MEMORY, Gallery, Scoring, Segments, own_score

EVERY = 2
"""Of the sizes of galleries, each second one is taken, and all individuals: such a search takes longer."""


class RefinedTrials:
    """Searches groups of photos in galleries of several sizes, once with their individual and once without.

    Args:
        queries: the groups, int64 `[G, T]`, as indices in the gallery.
        gallery: all photos.
        distance: the model's distance.
        refinement: how distances are refined.
        scoring: how the distance to an individual follows from those to its photos.
    """

    def __init__(
        self,
        queries: NDArray[np.int64],
        gallery: Gallery,
        distance: Distance,
        refinement: Refinement,
        scoring: Scoring,
    ) -> None:
        self._queries, self._gallery, self._scoring = queries, gallery, scoring
        self._distance, self._refinement = distance, refinement
        self._own = gallery.individuals[queries[:, 0]]
        self._count = int(gallery.individuals.max()) + 1
        self._whole = self._part(np.arange(self._count))
        self.known = self._whole.scores(queries, known=True)
        """Distance of each group to each of the I individuals among all other photos, `[G, I]`; NaN without others."""

    def trials(self, rng: np.random.Generator, moves: Floats | None = None) -> Trials:
        """The trials.

        A smaller gallery is a random part of the individuals, and the parts of one size do not overlap. A group is
        searched in the part of its individual, and as a new one in the next part.

        Args:
            rng: draws the galleries.
            moves: what is added to the distance of each group to each individual, `[G, I]`; None: nothing.
        """
        moves = np.zeros((len(self._queries), self._count)) if moves is None else moves
        every = np.arange(len(self._queries))
        found: list[Trial] = []
        for size in sorted({min(size, self._count - 1) for size in SIZES[::EVERY]}):
            if size == self._count - 1:
                found += _trials(self.known + moves, np.arange(self._count), self._own, known=True)
                found += self._searched(self._whole, every, moves, known=False)
                continue
            order, parts = rng.permutation(self._count), self._count // size
            place = np.argsort(order)[self._own] // size  # `parts` for individuals that are in none
            for number in range(parts):
                inside, before = place == number, (place + 1) % parts == number
                if not inside.any() and not before.any():
                    continue
                part = self._part(order[number * size : (number + 1) * size])
                found += self._searched(part, every[inside], moves, known=True)
                found += self._searched(part, every[before & ~inside], moves, known=False)
        return trials_of(found)

    def _part(self, individuals: NDArray[np.int64]) -> _Part:
        return _Part(self._gallery, individuals, self._distance, self._refinement, self._scoring)

    def _searched(self, part: _Part, groups: NDArray[np.int64], moves: Floats, known: bool) -> Iterator[Trial]:
        """Trials of some groups, by their numbers, in a part of the gallery."""
        scores = part.scores(self._queries[groups], known) + moves[np.ix_(groups, part.individuals)]
        return _trials(scores, part.individuals, self._own[groups], known)


class _Part:
    """The photos of some individuals, searched.

    Args:
        gallery: all photos.
        individuals: the n individuals that are searched.
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
        self.individuals = np.sort(individuals)
        self._owner = np.searchsorted(self.individuals, gallery.individuals[self._photos])
        self._segments = Segments(self._owner, len(individuals))
        self._refine = Refiner(gallery.rows(self._photos), distance, refinement)

    def scores(self, groups: NDArray[np.int64], known: bool) -> Floats:
        """Distance of groups of photos `[G, T]` to the individuals, `[G, n]`, ascending by their numbers.

        A group is searched with the other photos of its individual, or, if it is not known, without any; the distance
        to its own individual is NaN where there are none.
        """
        rows = max(1, MEMORY // (8 * len(self._photos) * groups.shape[1]))
        found = np.empty((len(groups), len(self.individuals)))
        for start in range(0, len(groups), rows):
            found[start : start + rows] = self._some(groups[start : start + rows], known)
        return found

    def _some(self, groups: NDArray[np.int64], known: bool) -> Floats:
        photos = self._gallery.rows(groups.ravel())
        mine = self._gallery.individuals[groups[:, 0]]
        own = [np.flatnonzero(self._gallery.individuals[self._photos] == each) for each in mine]
        gone = [
            np.flatnonzero(np.isin(self._photos, group)) if known else every
            for group, every in zip(groups, own, strict=True)
        ]
        together = groups.shape[1]
        table = self._refine(photos, [each for each in gone for _ in range(together)])
        found = np.empty((len(groups), len(self.individuals)))
        for number, (individual, every, without) in enumerate(zip(mine, own, gone, strict=True)):
            moved = table[number * together : (number + 1) * together]
            others = np.setdiff1d(every, without)
            found[number] = self._segments.score(moved, self._scoring).mean(0)
            nearest = own_score(moved[:, others], self._scoring) if len(others) else np.nan
            found[number, self.individuals == individual] = nearest
        return found


def _trials(scores: Floats, individuals: NDArray[np.int64], own: NDArray[np.int64], known: bool) -> Iterator[Trial]:
    """Trials of groups by their distances to individuals, `[G, n]`; known ones without other photos are passed over."""
    for row, individual in zip(scores, own.tolist(), strict=True):
        mine = individuals == individual
        if known and np.isnan(row[mine]).all():
            continue
        yield trial(np.sort(row[~mine]), float(row[mine][0]) if known else None, individual)
