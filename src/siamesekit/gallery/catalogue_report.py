"""What a catalogue is worth: its own photos are held out and searched for, alone and with whatever may help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.errors import UserError
from siamesekit.evaluation.intervals import Bootstrap, Floats, Interval
from siamesekit.evaluation.open_set import NearestPhoto, open_set
from siamesekit.gallery.holding_out import HeldOut, hold_out, several_encounters
from siamesekit.gallery.identification import FEWEST, NEAREST
from siamesekit.gallery.identifying import fit_identification
from siamesekit.gallery.refinement import Refinement, Refiner
from siamesekit.gallery.search import Gallery, Scoring, rank
from siamesekit.gallery.second_look import Looker, SecondLook, look_again
from siamesekit.gallery.sighting import Sighting
from siamesekit.progress import Progress
from siamesekit.randomness import generator

DRAWS = 5
"""How often photos are held out."""
FEWEST_JUDGED = 5
"""Fewest individuals with two photos, or two encounters."""
CALLED_NEW = 0.5
"""A query is called new if its P(new) is above this."""
BOOTSTRAP = Bootstrap(0.95, 1000, 0)
ENCOUNTERS_UNKNOWN = (
    "Photos of one encounter look alike: if the catalogue has them, name the column of the encounter with --encounter, "
    "or these figures are too good."
)
"""Note of a report that treats each photo as an encounter of its own."""


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
class WayFigures:
    """Figures of one way to search, each with its interval over individuals.

    Attributes:
        name: what the way is called.
        top_1: share of queries of known individuals whose individual is the first candidate.
        top_12: the same, among the first 12.
        baks: mean over the known individuals of the share of their queries that are called known, with the right
            individual first; None without probabilities.
        baus: mean over the new individuals of the share of their queries that are called new; None as above.
        geometric_mean: √(BAKS · BAUS); None as above.
        auroc: probability that a query of a new individual looks newer than one of a known individual: by P(new), or
            without probabilities by the distance of the first candidate.
    """

    name: str
    top_1: Interval
    top_12: Interval
    baks: Interval | None
    baus: Interval | None
    geometric_mean: Interval | None
    auroc: Interval


@dataclass(frozen=True)
class CatalogueReport:
    """What a catalogue is worth.

    Attributes:
        individuals: number of individuals.
        photos: number of their photos.
        judged: number of individuals whose photos are searched for.
        queries: number of searches, over all draws.
        draws: how often photos were held out.
        ways: the figures of each way to search.
        rand_index: adjusted Rand index of the clusters, with interval; None if they cannot be made.
        notes: what else to know, as sentences.
    """

    individuals: int
    photos: int
    judged: int
    queries: int
    draws: int
    ways: tuple[WayFigures, ...]
    rand_index: Interval | None
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The report with plain types."""

        def plain(value: Any) -> Any:
            return value._asdict() if isinstance(value, Interval) else value

        ways = {way.name: {key: plain(value) for key, value in vars(way).items() if key != "name"} for way in self.ways}
        told = {key: plain(value) for key, value in vars(self).items()}
        return told | {"ways": ways, "notes": list(self.notes), "confidence": BOOTSTRAP.confidence}


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
    """

    gallery: Gallery
    distance: Distance
    encounters: NDArray[np.int64]
    trained: NDArray[np.bool_]
    photo: Callable[[int], Sighting]
    scoring: Scoring = "nearest"

    def individuals(self) -> tuple[NDArray[np.int64], bool]:
        """The individuals to judge by, and whether some of them have trained the network.

        Raises:
            UserError: there are too few.
        """
        found = several_encounters(self.gallery.individuals, self.encounters)
        strangers = found[~self.trained[found]]
        if len(strangers) >= FEWEST:
            return strangers, False
        if len(found) < FEWEST_JUDGED:
            raise UserError(
                f"{len(found)} individuals have photos of two encounters, and a report needs {FEWEST_JUDGED}; without "
                "--encounter, each photo is an encounter of its own"
            )
        return found, bool(self.trained[found].any())


class _Found(NamedTuple):
    """Answers of the Q queries of one draw.

    Attributes:
        place: place of the right individual among the candidates, int64 `[Q]`, beyond all if it is none of them.
        first: the first candidate, int64 `[Q]`.
        distance: its distance, by which it is the first, `[Q]`.
        new: P(new), `[Q]`; None without probabilities.
        note: what the probabilities are worth, or why there are none.
    """

    place: NDArray[np.int64]
    first: NDArray[np.int64]
    distance: Floats
    new: Floats | None
    note: str


def catalogue_report(
    subject: Judged, ways: Sequence[Way], rand_index: Interval | None, notes: Sequence[str], progress: Progress
) -> CatalogueReport:
    """Hold out photos of a catalogue, and search for them in each way.

    Args:
        subject: the catalogue's photos.
        ways: how they are searched.
        rand_index: adjusted Rand index of the catalogue's clusters, if they can be made.
        notes: what else to know.
        progress: progress display.

    Raises:
        UserError: too few individuals have two photos, or photos of two encounters.
    """
    judged, trained = subject.individuals()
    rng = generator(0, "holding out")
    draws = [hold_out(subject.gallery.individuals, subject.encounters, judged, rng) for _ in range(DRAWS)]
    told = [*notes]
    if trained:
        told.append(
            "Individuals that trained the network are among those that were searched for: figures are too good."
        )
    measured = []
    for way in ways:
        way_figures, note = figures(subject, way, draws, progress)
        measured.append(way_figures)
        if way_figures.baks is None:
            told.append(f"{way.name}: BAKS and BAUS need probabilities in each draw; {note}.")
    return CatalogueReport(
        individuals=len(subject.trained),
        photos=len(subject.gallery),
        judged=len(judged),
        queries=sum(len(draw.queries) for draw in draws),
        draws=DRAWS,
        ways=tuple(measured),
        rand_index=rand_index,
        notes=tuple(told),
    )


def figures(subject: Judged, way: Way, draws: Sequence[HeldOut], progress: Progress) -> tuple[WayFigures, str]:
    """Search for the photos that are held out in each draw, and measure the answers of all draws together.

    Args:
        subject: the catalogue's photos.
        way: how they are searched.
        draws: what is held out.
        progress: progress display.

    Returns:
        The figures, and why there are no probabilities, if there are none.
    """
    tracked = progress.track(draws, len(draws), f"Holding out, {way.name}", "draws")
    found = [_searched(subject, way, held_out) for held_out in tracked]
    owner = subject.gallery.individuals[np.concatenate([held_out.queries for held_out in draws])]
    new = np.concatenate([held_out.new for held_out in draws])
    place, first = np.concatenate([each.place for each in found]), np.concatenate([each.first for each in found])
    chances = [each.new for each in found if each.new is not None]
    sure = len(chances) == len(draws)
    looks_new = np.concatenate(chances if sure else [each.distance for each in found])
    rng = generator(BOOTSTRAP.seed, "open set")
    confidence, resamples, _ = BOOTSTRAP
    nearest = NearestPhoto(looks_new, first)
    opened = open_set(nearest, owner, ~new, CALLED_NEW if sure else None, confidence, resamples, rng)
    assert opened is not None, "each draw has known and new individuals"
    top_1, top_12 = (BOOTSTRAP.mean((place[~new] < most).astype(np.float64), owner[~new]) for most in (1, NEAREST))
    told = WayFigures(way.name, top_1, top_12, opened.baks, opened.baus, opened.geometric_mean, opened.auroc)
    return told, next((each.note for each in found if each.new is None), "")


def _searched(subject: Judged, way: Way, held_out: HeldOut) -> _Found:
    """Search for the queries among the enrolled photos, with probabilities that are fitted to these alone."""
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
    far = ranking.distances if ranking.fused is None else ranking.fused
    chance = None if fitted.model is None else fitted.model.probabilities(far, len(names))[1]
    return _Found(place, found[:, 0], far[:, 0], chance, fitted.note)
