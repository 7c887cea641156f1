"""What a catalogue is worth: its own photos are held out and searched for, alone and with whatever may help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from siamesekit.evaluation.intervals import Bootstrap, Floats, Interval
from siamesekit.evaluation.open_set import NearestPhoto, OpenSet, open_set
from siamesekit.gallery.held_out_search import Judged, Way, search_held_out
from siamesekit.gallery.holding_out import HeldOut, hold_out
from siamesekit.gallery.identification import NEAREST
from siamesekit.progress import Progress
from siamesekit.randomness import generator

DRAWS = 5
"""How often photos are held out."""
CALLED_NEW = 0.5
"""A query is called new if its P(new) is above this."""
BOOTSTRAP = Bootstrap(0.95, 1000, 0)
ENCOUNTERS_UNKNOWN = (
    "Photos of one encounter look alike: if the catalogue has them, name the column of the encounter with --encounter, "
    "or these figures are too good."
)
"""Note of a report that treats each photo as an encounter of its own."""


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
        promised_baks: BAKS if new individuals are called known as rarely as promised; None without a promise or
            probabilities.
        promised_baus: BAUS likewise.
    """

    name: str
    top_1: Interval
    top_12: Interval
    baks: Interval | None
    baus: Interval | None
    geometric_mean: Interval | None
    auroc: Interval
    promised_baks: Interval | None = None
    promised_baus: Interval | None = None


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
        false_known: promised share of the photos of new individuals that are called known; None without a promise.
    """

    individuals: int
    photos: int
    judged: int
    queries: int
    draws: int
    ways: tuple[WayFigures, ...]
    rand_index: Interval | None
    notes: tuple[str, ...]
    false_known: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The report with plain types."""

        def plain(value: Any) -> Any:
            return value._asdict() if isinstance(value, Interval) else value

        ways = {way.name: {key: plain(value) for key, value in vars(way).items() if key != "name"} for way in self.ways}
        told = {key: plain(value) for key, value in vars(self).items()}
        return told | {"ways": ways, "notes": list(self.notes), "confidence": BOOTSTRAP.confidence}


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
        false_known=subject.false_known,
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
    found = [search_held_out(subject, way, held_out) for held_out in tracked]
    owner = subject.gallery.individuals[np.concatenate([held_out.queries for held_out in draws])]
    new = np.concatenate([held_out.new for held_out in draws])
    place, first = np.concatenate([each.place for each in found]), np.concatenate([each.first for each in found])
    chances = [each.new for each in found if each.new is not None]
    sure = len(chances) == len(draws)
    looks_new = np.concatenate(chances if sure else [each.distance for each in found])
    rng = generator(BOOTSTRAP.seed, "open set")
    confidence, resamples, _ = BOOTSTRAP

    def opened_at(distance: Floats, threshold: float | None) -> OpenSet:
        found = open_set(NearestPhoto(distance, first), owner, ~new, threshold, confidence, resamples, rng)
        assert found is not None, "each draw has known and new individuals"
        return found

    opened, promised = opened_at(looks_new, CALLED_NEW if sure else None), None
    if sure and subject.false_known is not None:
        limits = np.repeat([float(each.limit or 0.0) for each in found], [len(each.first) for each in found])
        promised = opened_at(looks_new - limits, 0.0)  # each draw has its own limit
    top_1, top_12 = (BOOTSTRAP.mean((place[~new] < most).astype(np.float64), owner[~new]) for most in (1, NEAREST))
    shares = opened.baks, opened.baus, opened.geometric_mean, opened.auroc
    kept = (None, None) if promised is None else (promised.baks, promised.baus)
    told = WayFigures(way.name, top_1, top_12, *shares, *kept)
    return told, next((each.note for each in found if each.new is None), "")
