"""Search a catalogue for photos of its own that are held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.errors import UserError
from siamesekit.evaluation.intervals import Floats
from siamesekit.gallery.holding_out import HeldOut, new_ones, several_encounters
from siamesekit.gallery.identification import FEWEST, NEAREST, individuals_needed
from siamesekit.gallery.identifying import fit_identification
from siamesekit.gallery.promise import promise
from siamesekit.gallery.refinement import Refinement, Refiner
from siamesekit.gallery.search import Gallery, Scoring, rank
from siamesekit.gallery.second_look import Looker, SecondLook, look_again
from siamesekit.gallery.sighting import Sighting

FEWEST_JUDGED = 5
"""Fewest individuals with two photos, or two encounters."""


@dataclass(frozen=True)
class Way:
    """A way to search.

    Attributes:
        name: what it is called.
        embeddings: embeddings of the N photos, `[N, D]`.
        second_look: a second look at the best individuals.
        refinement: re-ranking and expansion.
    """

    name: str
    embeddings: Tensor
    second_look: SecondLook | None = None
    refinement: Refinement | None = None


@dataclass(frozen=True)
class Judged:
    """The photos of a catalogue that are held out and searched for.

    Attributes:
        gallery: all photos.
        distance: the model's distance.
        encounters: encounter of each photo, int64 `[N]`.
        trained: which individuals trained the network, `[I]`.
        photo: the photo of an index in the gallery, for a second look.
        scoring: how the distance to an individual follows from those to its photos.
        false_known: promised share of the photos of new individuals that are called known; None without a promise.
    """

    gallery: Gallery
    distance: Distance
    encounters: NDArray[np.int64]
    trained: NDArray[np.bool_]
    photo: Callable[[int], Sighting]
    scoring: Scoring = "nearest"
    false_known: float | None = None

    def individuals(self) -> tuple[NDArray[np.int64], bool]:
        """The individuals to judge by, and whether some of them have trained the network.

        Raises:
            UserError: there are too few, also for the promise.
        """
        found = several_encounters(self.gallery.individuals, self.encounters)
        strangers = found[~self.trained[found]]
        self._require_promise(strangers)
        if len(strangers) >= FEWEST:
            return strangers, False
        if len(found) < FEWEST_JUDGED:
            raise UserError(
                f"{len(found)} individuals have photos of two encounters, and a report needs {FEWEST_JUDGED}; without "
                "--encounter, each photo is an encounter of its own"
            )
        return found, bool(self.trained[found].any())

    def _require_promise(self, strangers: NDArray[np.int64]) -> None:
        """Refuse a promise for which too few individuals are left in a draw."""
        if self.false_known is None:
            return
        there, needed = int((~self.trained).sum()), max(FEWEST, individuals_needed(self.false_known))
        left = there - new_ones(len(strangers))
        if left < needed:
            raise UserError(
                f"--false-known {self.false_known:g} cannot be measured: of {there} individuals that did not train the "
                f"network, {left} stay in the catalogue while the others are held out as new, and {needed} are needed"
            )


class Found(NamedTuple):
    """Answers of the Q queries of one draw.

    Attributes:
        place: place of the right individual among the candidates, int64 `[Q]`, beyond all if it is none of them.
        first: the first candidate, int64 `[Q]`.
        distance: its distance, by which it is the first, `[Q]`.
        new: P(new), `[Q]`; None without probabilities.
        note: what the probabilities are worth, or why there are none.
        limit: the largest P(new) with which a query is called known as promised; None without a promise.
    """

    place: NDArray[np.int64]
    first: NDArray[np.int64]
    distance: Floats
    new: Floats | None
    note: str
    limit: float | None


def search_held_out(subject: Judged, way: Way, held_out: HeldOut) -> Found:
    """Search for the queries among the enrolled photos, with probabilities that are fitted to these alone.

    Raises:
        UserError: too few individuals show how often new ones are called known.
    """
    enrolled = held_out.enrolled
    names, owner = np.unique(subject.gallery.individuals[enrolled], return_inverse=True)
    part = Gallery(way.embeddings[torch.from_numpy(enrolled)], subject.gallery.photos[enrolled], owner)
    look, looker, refine = way.second_look, None, None
    if look is not None:
        looker = Looker(look, part, subject.distance, lambda index: subject.photo(int(enrolled[index])))
    if way.refinement is not None:
        refine = Refiner(part.embeddings, subject.distance, way.refinement)
    trained = subject.trained[names]
    fitted = fit_identification(part, subject.distance, trained, subject.scoring, 1, looker, way.refinement)
    queries = way.embeddings[torch.from_numpy(held_out.queries)]
    wide = min(len(names), max(NEAREST, 0 if look is None else look.individuals))
    ranking = rank(queries, part, subject.distance, wide, subject.scoring, False, refine)
    if looker is not None:
        groups = [(each[None], [subject.photo(int(n))]) for each, n in zip(queries, held_out.queries, strict=True)]
        ranking = look_again(ranking, looker, groups, fitted.fusion)
    found = names[ranking.individuals]
    right = found == subject.gallery.individuals[held_out.queries][:, None]
    place = np.where(right.any(1), right.argmax(1), len(names))
    chance = None if fitted.model is None else fitted.model.probabilities(ranking.decisive, len(names))[1]
    limit = None
    if subject.false_known is not None and fitted.model is not None:
        limit = promise(fitted, subject.false_known, len(names)).limit
    return Found(place, found[:, 0], ranking.decisive[:, 0], chance, fitted.note, limit)
