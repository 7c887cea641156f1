"""A second look at the best individuals of a search: count the points that photos share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance, pairwise
from siamesekit.components.matchers.matcher import Matcher
from siamesekit.errors import UserError
from siamesekit.gallery.fusion import Fusion
from siamesekit.gallery.search import Gallery, Ranking
from siamesekit.gallery.shared_points import UNREADABLE, Pair, SharedPoints
from siamesekit.gallery.sighting import Sighting
from siamesekit.progress import Progress
from siamesekit.registry import MATCHERS


@dataclass(frozen=True)
class SecondLook:
    """How the best individuals of a search are looked at again.

    Attributes:
        matcher: a matcher, or its name: `siamesekit list matchers`.
        individuals: number of individuals that are looked at, the nearest first.
        photos: most photos of each that are looked at, the nearest first.
        options: options of the matcher, if it is given by its name: `siamesekit show matcher NAME`.
    """

    __module__ = "siamesekit"

    matcher: str | Matcher = "sift"
    individuals: int = 12
    photos: int = 3
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    shared: SharedPoints = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.individuals < 1 or self.photos < 1:
            raise UserError("a second look is at one individual and one photo at least")
        if self.options and not isinstance(self.matcher, str):
            raise UserError("a matcher that is built has its options: give them to it")
        matcher = MATCHERS.build(self.matcher, self.options) if isinstance(self.matcher, str) else self.matcher
        object.__setattr__(self, "shared", SharedPoints(matcher))

    @property
    def label(self) -> str:
        """The matcher's name for people: that of the registry, or of its class."""
        return self.matcher if isinstance(self.matcher, str) else type(self.matcher).__name__

    @property
    def key(self) -> tuple[str, int, int]:
        """What decides its result, beside the photos."""
        return self.shared.name, self.individuals, self.photos


@dataclass(frozen=True)
class Looked:
    """What a second look has found, for G queries and B individuals each.

    Attributes:
        points: most points that a photo of the query shares with a photo of the individual, int64 `[G, B]`;
            `UNREADABLE` if none of these photos can be read.
        photos: index in the gallery of that photo, int64 `[G, B]`; the nearest if no point is shared.
    """

    points: NDArray[np.int64]
    photos: NDArray[np.int64]


@dataclass(frozen=True)
class Looker:
    """Takes second looks at the photos of a gallery.

    Attributes:
        look: how.
        gallery: the photos that are searched.
        distance: the model's distance.
        photo: the photo of an index in the gallery.
    """

    look: SecondLook
    gallery: Gallery
    distance: Distance
    photo: Callable[[int], Sighting]

    def __call__(
        self,
        queries: Sequence[tuple[Tensor, Sequence[Sighting]]],
        individuals: NDArray[np.int64],
        own: NDArray[np.int64] | None = None,
        progress: Progress | None = None,
    ) -> Looked:
        """Look at individuals for each query.

        Args:
            queries: G queries: the embeddings `[T, D]` of the T photos of each, and these photos.
            individuals: individuals to look at for each, int64 `[G, B]`.
            own: indices of the query's own photos in the gallery, which are left out, int64 `[G, T]`.
            progress: progress display.
        """
        pairs: list[Pair] = []
        places: list[tuple[int, int, int]] = []
        nearest = np.zeros_like(individuals)
        for row, (embeddings, photos) in enumerate(queries):
            left_out = () if own is None else own[row]
            for column, chosen in enumerate(self._nearest(embeddings, individuals[row], left_out)):
                nearest[row, column] = chosen[0] if len(chosen) else -1
                for index in chosen.tolist():
                    other = self.photo(index)
                    pairs += [(photo, other) for photo in photos]
                    places += [(row, column, index)] * len(photos)
        counts = self.look.shared.counts(pairs, progress)
        points = np.full(individuals.shape, UNREADABLE, np.int64)
        best = nearest.copy()
        for (row, column, index), count in zip(places, counts.tolist(), strict=True):
            if count > points[row, column]:
                points[row, column] = count
                best[row, column] = index if count else nearest[row, column]
        return Looked(points, best)

    def _nearest(
        self, embeddings: Tensor, individuals: NDArray[np.int64], left_out: Sequence[int] | NDArray[np.int64]
    ) -> list[NDArray[np.int64]]:
        """The nearest photos of each individual to any of the query's `[T, D]`, as indices in the gallery."""
        rows = np.flatnonzero(np.isin(self.gallery.individuals, individuals))
        rows = np.setdiff1d(rows, left_out)
        if not len(rows):
            return [rows] * len(individuals)
        far = pairwise(self.distance, embeddings, self.gallery.rows(rows)).min(0).values
        rows = rows[np.argsort(far.double().numpy(), kind="stable")]
        owner = self.gallery.individuals[rows]
        return [rows[owner == individual][: self.look.photos] for individual in individuals]


def look_again(
    ranking: Ranking,
    looker: Looker,
    queries: Sequence[tuple[Tensor, Sequence[Sighting]]],
    fusion: Fusion | None,
) -> Ranking:
    """A ranking with the shared points of the first individuals, in the order of the distances moved by them.

    Args:
        ranking: a ranking of G queries; if it is refined, the refined distances are moved.
        looker: takes the looks.
        queries: the photos of each query, with their embeddings `[T, D]`.
        fusion: how much points count; None: the order stays.
    """
    among = ranking.individuals[:, : looker.look.individuals]
    looked = looker(queries, among)
    points = np.full(ranking.individuals.shape, UNREADABLE, np.int64)
    best, nearest = ranking.best.copy(), ranking.nearest.copy()
    points[:, : among.shape[1]] = looked.points
    other = (looked.points > 0) & (looked.photos != best[:, : among.shape[1]])
    for row, column in np.argwhere(other):
        best[row, column] = looked.photos[row, column]
        photo = looker.gallery.rows(looked.photos[row, column][None])
        nearest[row, column] = float(pairwise(looker.distance, queries[row][0], photo).min())
    before = ranking.decisive
    fused = before if fusion is None else fusion.fused(before, points)
    order = np.argsort(fused, axis=1, kind="stable")
    rows = np.arange(len(order))[:, None]
    return replace(
        ranking,
        individuals=ranking.individuals[rows, order],
        distances=ranking.distances[rows, order],
        best=best[rows, order],
        nearest=nearest[rows, order],
        points=points[rows, order],
        fused=fused[rows, order],
    )
