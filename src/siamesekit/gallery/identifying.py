"""Fit the model of identification to the photos of a catalogue."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamesekit.components.distances.distance import Distance, pairwise
from siamesekit.errors import ArtifactError
from siamesekit.evaluation.intervals import Floats
from siamesekit.files.run_files import SPLIT, run_of
from siamesekit.files.untrusted import MAX_TABLE_BYTES
from siamesekit.files.untrusted_json import read_json
from siamesekit.gallery.fusion import Fusion, fit_fusion
from siamesekit.gallery.identification import FEWEST, Identification, fit, trials
from siamesekit.gallery.names import composed
from siamesekit.gallery.refined_trials import RefinedTrials
from siamesekit.gallery.refinement import Refinement
from siamesekit.gallery.search import MEMORY, Gallery, Scoring, Segments, own_score
from siamesekit.gallery.second_look import Looker
from siamesekit.randomness import generator

QUERIES, EACH = 1000, 5
"""Most photos that are searched for a fit, and most photos of one individual among them."""
LOOKED, FOLDS = 200, 5
"""Most photos that are looked at again for a fit, and number of parts of the individuals in cross-fitting."""


@dataclass(frozen=True)
class FittedIdentification:
    """The model of identification of a catalogue, and what it is worth.

    Attributes:
        model: the fitted model, or None.
        note: in words: which individuals it was fitted to, or why there is none.
        trained: whether individuals that trained the network are among them, for which it may be too sure.
        fusion: how much shared points count in a second look; None without one, or if that cannot be said.
        untrained: number of individuals of the catalogue that did not train the network.
    """

    model: Identification | None
    note: str
    trained: bool
    fusion: Fusion | None = None
    untrained: int = 0

    def sampled(self, individuals: int, untrained: NDArray[np.bool_]) -> FittedIdentification:
        """The same for a catalogue of which only so many individuals were in the fit.

        Args:
            individuals: number of individuals in the fit.
            untrained: which individuals of the catalogue did not train the network, `[I]`.
        """
        if individuals == len(untrained):
            return self
        note = f"{self.note}, in galleries of up to {individuals:,} of the {len(untrained):,} individuals"
        return replace(self, note=note, untrained=int(untrained.sum()))


def fit_identification(
    gallery: Gallery,
    distance: Distance,
    trained: NDArray[np.bool_],
    scoring: Scoring = "nearest",
    together: int = 1,
    looker: Looker | None = None,
    refinement: Refinement | None = None,
) -> FittedIdentification:
    """Fit to the photos of individuals that did not train the network, or of all if there are fewer than `FEWEST`.

    Args:
        gallery: all photos of a catalogue.
        distance: the model's distance.
        trained: which individuals trained the network, `[I]`.
        scoring: how the distance to an individual follows from those to its photos.
        together: number of photos of one individual that are searched together. If fewer than `FEWEST` individuals have
            more photos than that, fewer are taken: that is less sure.
        looker: takes second looks at the best individuals; distances are moved by shared points then.
        refinement: how distances are refined by the photos of a gallery; each gallery of the fit is searched so. With a
            looker, the best individuals are those by the refined distances, which are moved.
    """
    strangers = np.flatnonzero(~trained)
    biased = len(strangers) < FEWEST
    chosen = np.arange(len(trained)) if biased else strangers
    if len(chosen) < FEWEST:
        return FittedIdentification(
            None,
            f"no probabilities: the catalogue has {len(chosen)} individuals, and {FEWEST} are needed",
            biased,
            untrained=len(strangers),
        )
    rng = generator(0, "identification")
    sizes = np.sort(np.bincount(gallery.individuals, minlength=len(trained))[chosen])
    together = max(1, min(together, int(sizes[-FEWEST]) - 1))
    queries = _queries(gallery, chosen, together, rng if looker is None and refinement is None else None)
    own = gallery.individuals[queries[:, 0]]
    refined = None if refinement is None else RefinedTrials(queries, gallery, distance, refinement, scoring)
    table = _distances(queries, gallery, distance, len(trained), scoring) if refined is None else refined.known
    moves, fusion = (np.zeros_like(table), None) if looker is None else _looked_again(table, queries, own, looker)
    found = trials(table + moves, own, rng) if refined is None else refined.trials(rng, moves)
    model = fit(found)
    if model is None:
        note = "no probabilities: photos of one individual are not nearer to each other than to others, or are missing"
        return FittedIdentification(None, note, biased, fusion, len(strangers))
    which = "some of which trained the network: they may be too sure" if biased else "which did not train the network"
    what = "photos" if together == 1 else f"{together} photos at a time"
    note = f"probabilities are fitted to {what} of {model.individuals} individuals, {which}"
    if refinement is not None:
        note += f", each searched with {refinement}"
    if looker is not None:
        note += f"; {_weighed(fusion, 'distance' if refinement is None else 'refined distance')}"
    return FittedIdentification(model, note, biased, fusion, len(strangers))


def trained_individuals(run: Path) -> list[str]:
    """Names of the individuals that trained a run's network; none if the folder does not tell.

    Raises:
        ArtifactError: the run's split cannot be read.
    """
    file = run_of(run) / SPLIT
    if not file.is_file():
        return []
    parts = read_json(file, most=MAX_TABLE_BYTES).get("parts", {})
    if not isinstance(parts, dict):
        raise ArtifactError(f"{file} is altered: its parts are missing")
    return sorted({composed(str(name)) for name in parts.get("train") or ()})


def _looked_again(
    table: Floats, queries: NDArray[np.int64], own: NDArray[np.int64], looker: Looker
) -> tuple[Floats, Fusion | None]:
    """What shared points add to distances, `[G, I]`, cross-fitted over individuals, and the weight fitted to all.

    Args:
        table: distance of each group of photos to each individual, `[G, I]`, NaN without other photos.
        queries: the groups, `[G, together]`.
        own: individual of each, `[G]`.
        looker: takes the looks.
    """
    filled = np.where(np.isnan(table), np.inf, table)
    nearest = np.argsort(filled, axis=1, kind="stable")[:, : looker.look.individuals]
    groups = [(looker.gallery.rows(photos), [looker.photo(int(photo)) for photo in photos]) for photos in queries]
    points = looker(groups, nearest, queries).points
    far = np.take_along_axis(filled, nearest, 1)
    found = nearest == own[:, None]
    place = np.where(found.any(1), found.argmax(1), -1)
    moved = np.zeros_like(far)
    folds = own % FOLDS
    for fold in range(FOLDS):
        others, mine = folds != fold, folds == fold
        fusion = fit_fusion(far[others], points[others], place[others], own[others])
        if fusion is not None:
            moved[mine] = fusion.moves(points[mine])
    moves = np.zeros_like(table)
    np.put_along_axis(moves, nearest, np.where(np.isinf(far), 0.0, moved), 1)
    return moves, fit_fusion(far, points, place, own)


def _weighed(fusion: Fusion | None, distance: str) -> str:
    """In words: what shared points count for, as so much of a distance."""
    if fusion is None:
        return "too few photos show how much shared points count, so they are counted and change nothing"
    if fusion.weight == 0:
        return "photos of one individual share no more points than others, so they change nothing"
    return f"20 shared points count as much as {fusion.weight * math.log(21):.2g} of {distance}"


def _queries(
    gallery: Gallery, chosen: NDArray[np.int64], together: int, rng: np.random.Generator | None
) -> NDArray[np.int64]:
    """Photos to search, `[Q, together]`: at most `EACH` groups of an individual and `QUERIES` groups in all, ascending.

    The groups of an individual share no photo.

    Args:
        gallery: all photos.
        chosen: individuals whose photos are taken.
        together: number of photos in a group.
        rng: draws them. None: at most `LOOKED` groups, and most are the same again after photos have been added, so
            that their shared points are known.
    """
    individuals = gallery.individuals
    order = _steady_order(gallery.photos) if rng is None else rng.permutation(len(individuals))
    order = order[np.isin(individuals[order], chosen)]
    by_owner = order[np.argsort(individuals[order], kind="stable")]
    owners = individuals[by_owner]
    places = np.arange(len(owners)) - np.searchsorted(owners, owners)
    groups = np.bincount(owners)[owners] // together
    kept = by_owner[(places // together < EACH) & (places // together < groups)].reshape(-1, together)
    kept = kept[_steady_order(gallery.photos[kept[:, 0]])][:LOOKED] if rng is None else rng.permutation(kept)[:QUERIES]
    return kept[np.argsort(kept[:, 0])]


def _steady_order(photos: NDArray[np.int64]) -> NDArray[np.int64]:
    """An order of photos, by their numbers `[N]`, that looks random and stays when others are added: `[N]`."""
    mixed = photos.astype(np.uint64) * np.uint64(2654435761) % np.uint64(2**32)  # Knuth's multiplicative hash
    return np.argsort(mixed, kind="stable")


def _distances(
    queries: NDArray[np.int64], gallery: Gallery, distance: Distance, count: int, scoring: Scoring
) -> Floats:
    """Distance of each group of photos to each individual, without their own pairs, `[Q, I]`; NaN without others."""
    groups, together = queries.shape
    segments, rows = Segments(gallery.individuals, count), max(1, MEMORY // (8 * len(gallery) * together))
    scores = np.empty((groups, count))
    for start in range(0, groups, rows):
        part = queries[start : start + rows]
        far = pairwise(distance, gallery.rows(part.ravel()), gallery.embeddings)
        table = far.double().numpy()
        scores[start : start + rows] = segments.score(table, scoring).reshape(len(part), together, count).mean(1)
        for row, photos in enumerate(part):
            mine = gallery.individuals[photos[0]]
            others = np.setdiff1d(np.flatnonzero(gallery.individuals == mine), photos)
            own = table[row * together : (row + 1) * together][:, others]
            scores[start + row, mine] = own_score(own, scoring) if len(others) else np.nan
    return scores
