"""Search a catalogue: the individuals and photos that are most like a photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.distances.distance import Distance, pairwise
from siamesekit.components.distances.nearest import nearest
from siamesekit.evaluation.calibration import Calibration
from siamesekit.evaluation.intervals import Floats

Scoring = Literal["nearest", "mean"] | int
"""How the distance to an individual follows from those to its photos: the nearest, the mean of all, or the mean of so
many nearest ones."""
Verdict = Literal["known", "maybe new"]
"""Whether a query shows an individual that was searched, at a promised share of errors."""
MEMORY = 1 << 28
"""Bytes of distances kept at a time when those to all photos are needed."""
Find = Callable[[Tensor, int], tuple[NDArray[np.int64], Tensor]]
"""Finds the k photos nearest to each query `[Q, D]`: indices in the gallery and distances, `[Q, k]` each, the nearest
first, equal ones in the order of the indices."""
AT_ONCE = 1024
"""Queries that are searched at a time."""
SHOWN_ANSWERS = 5
"""Most answers of a list that a notebook shows."""
WIDER = 4
"""Factor by which the search for k individuals widens while too few individuals are among the nearest photos."""


@dataclass(frozen=True)
class PhotoMatch:
    """A photo of the catalogue that was found.

    Attributes:
        photo: number of the photo.
        name: its name.
        path: path of its file, which may have moved since it was enrolled.
        individual: name of its individual.
        distance: distance to the query.
        similarity: probability 0 … 1 that both show one individual, if same and different pairs were equally frequent;
            None if the model has no threshold.
    """

    photo: int
    name: str
    path: str
    individual: str
    distance: float
    similarity: float | None


@dataclass(frozen=True)
class Candidate:
    """An individual that was found.

    Attributes:
        individual: its name.
        distance: its distance to the query, or the mean over the photos of the query.
        similarity: probability 0 … 1 for a pair of photos at this distance, as for `PhotoMatch`; None if the model has
            no threshold.
        probability: probability 0 … 1 that the query shows this individual, among all that were searched and a new one;
            None if it is unknown, see `Catalogue.identification`.
        best: its nearest photo; after a second look, the one that shares most points.
        photos: number of its photos that were searched.
        points: number of points that the query shares with `best`; None without a second look at this individual.
    """

    individual: str
    distance: float
    similarity: float | None
    probability: float | None
    best: PhotoMatch
    photos: int
    points: int | None = None


@dataclass(frozen=True)
class Answer:
    """The answer for one query.

    Attributes:
        query: name of the photo, or of the photos searched together.
        new: probability 0 … 1 that the query shows an individual that was not searched; None if it is unknown.
        candidates: individuals, the nearest first; after a second look, those first that share most points for their
            distance.
        photos: photos, the nearest first.
        verdict: `known` or `maybe new` at the share of false "known" that was promised; None without a promise.
    """

    query: str
    new: float | None
    candidates: tuple[Candidate, ...]
    photos: tuple[PhotoMatch, ...]
    verdict: Verdict | None = None

    def _repr_html_(self) -> str:
        """The answer as a notebook shows it, with small photos of the best candidates."""
        from siamesekit.gallery.answer_card import answer_card

        return answer_card(self)


class AnswerList(list[Answer]):
    """A list of answers, which a notebook shows one below the other."""

    def _repr_html_(self) -> str:
        """The first answers as a notebook shows them."""
        more = f"<p>and {len(self) - SHOWN_ANSWERS:,} more answers</p>" if len(self) > SHOWN_ANSWERS else ""
        return "".join(answer._repr_html_() for answer in self[:SHOWN_ANSWERS]) + more


@dataclass(frozen=True)
class Gallery:
    """The photos that are searched.

    Attributes:
        stored: embeddings `[M, D]`, those of the photos among them; they may be a file that is mapped into memory.
        photos: numbers of the photos, `[N]`, ascending.
        individuals: index of each photo's individual, int64 `[N]`, 0 … I − 1; equal distances are ordered by it.
        find: how the nearest photos are found; None: exactly, among the embeddings.
        places: row of each photo in `stored`, int64 `[N]`; None: all rows are photos, in their order.
    """

    stored: Tensor
    photos: NDArray[np.int64]
    individuals: NDArray[np.int64]
    find: Find | None = None
    places: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.photos)

    @cached_property
    def embeddings(self) -> Tensor:
        """The embeddings of all photos, `[N, D]`; a copy in memory if `stored` has others, too."""
        return self.stored if self.places is None else self.stored[torch.from_numpy(self.places)]

    def rows(self, index: NDArray[np.int64]) -> Tensor:
        """The embeddings `[M, D]` of some photos by their indices `[M]`: only these are read."""
        return self.stored[torch.from_numpy(index if self.places is None else self.places[index])]

    def part(self, kept: NDArray[np.int64]) -> tuple[Gallery, NDArray[np.int64]]:
        """The gallery of some photos by their indices `[M]`, ascending; with its individuals' indices here, `[I]`."""
        left, owner = np.unique(self.individuals[kept], return_inverse=True)
        places = kept if self.places is None else self.places[kept]
        return Gallery(self.stored, self.photos[kept], owner.astype(np.int64), None, places), left

    def nearest(self, queries: Tensor, k: int, distance: Distance) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The k photos nearest to each query `[Q, D]`, or all if there are fewer: indices and distances, `[Q, k]`."""
        if self.find is None:
            found = nearest(queries, self.embeddings, k, distance)
            return found.index.numpy(), found.distance.double().numpy()
        index, far = self.find(queries, min(k, len(self)))
        return index, far.double().numpy()


@dataclass(frozen=True)
class Ranking:
    """The nearest individuals and photos of each query, by index in the gallery.

    After a refinement, individuals and photos are in the order of the refined distances.

    Attributes:
        individuals: int64 `[Q, k]`.
        distances: distance to each, `[Q, k]`.
        best: index in the gallery of the nearest photo of each, int64 `[Q, k]`.
        nearest: distance to that photo, `[Q, k]`.
        photos: nearest photos, int64 `[Q, k']`.
        photo_distances: distance to each, `[Q, k']`.
        points: number of shared points by a second look, int64 `[Q, k]`, −1 where there was none; None without one.
        fused: the distances that give the order, `[Q, k]`: `distances` or refined ones, moved by the shared points if
            there was a second look; None if `distances` give it.
    """

    individuals: NDArray[np.int64]
    distances: NDArray[np.float64]
    best: NDArray[np.int64]
    nearest: NDArray[np.float64]
    photos: NDArray[np.int64]
    photo_distances: NDArray[np.float64]
    points: NDArray[np.int64] | None = None
    fused: NDArray[np.float64] | None = None

    @property
    def decisive(self) -> NDArray[np.float64]:
        """The distances that give the order, `[Q, k]`."""
        return self.distances if self.fused is None else self.fused


def rank(
    queries: Tensor,
    gallery: Gallery,
    distance: Distance,
    k: int,
    scoring: Scoring = "nearest",
    together: bool = False,
    refine: Callable[[Tensor], Floats] | None = None,
) -> Ranking:
    """Rank individuals and photos for each query, exactly.

    Args:
        queries: embeddings `[Q, D]`.
        gallery: the photos that are searched, at least one.
        distance: the model's distance.
        k: number of individuals, and of photos.
        scoring: how the distance to an individual follows from those to its photos.
        together: whether all queries show one individual; there is one answer then, by the mean over the queries.
        refine: gives the distances of queries `[q, D]` to all photos, `[q, N]`, that decide the order; None: those of
            `distance` do.
    """
    count = int(gallery.individuals.max()) + 1
    if scoring == "nearest" and not together and refine is None:
        return _by_nearest(queries, gallery, distance, min(k, count))
    segments, most = Segments(gallery.individuals, count), min(k, len(gallery))
    score, order_by, smallest, best = (np.empty((len(queries), count)) for _ in range(4))
    index, order_of_photos, near = (np.empty((len(queries), most)) for _ in range(3))
    rows = max(1, MEMORY // (8 * len(gallery)))
    for start in range(0, len(queries), rows):
        part = slice(start, start + rows)
        distances = pairwise(distance, queries[part], gallery.embeddings).double().numpy()
        smallest[part], best[part] = segments.nearest(distances)
        score[part] = segments.score(distances, scoring)
        if refine is None:
            index[part], near[part] = gallery.nearest(queries[part], k, distance)
            order_by[part], order_of_photos[part] = score[part], near[part]
        else:
            refined = refine(queries[part])
            order_by[part] = segments.score(refined, scoring)
            index[part] = first = np.argsort(refined, axis=1, kind="stable")[:, :most]
            near[part], order_of_photos[part] = (np.take_along_axis(each, first, 1) for each in (distances, refined))
    photos = index.astype(np.int64)
    if together:
        closest = smallest.argmin(0)[None]
        best, smallest = np.take_along_axis(best, closest, 0), np.take_along_axis(smallest, closest, 0)
        score, order_by = score.mean(0, keepdims=True), order_by.mean(0, keepdims=True)
        photos, near = _merged(photos, order_of_photos, near, k)
    order = np.argsort(order_by, axis=1, kind="stable")[:, :k]
    chosen, closest_photos, nearest_distances, fused = (
        np.take_along_axis(each, order, 1) for each in (score, best, smallest, order_by)
    )
    best_photos = closest_photos.astype(np.int64)
    return Ranking(order, chosen, best_photos, nearest_distances, photos, near, fused=None if refine is None else fused)


@dataclass(frozen=True)
class Names:
    """Names of what was searched.

    Attributes:
        individuals: names of the I individuals.
        photos: names and paths of the N photos.
    """

    individuals: Sequence[str]
    photos: Sequence[tuple[str, str]]


def answers(
    names: Sequence[str],
    ranking: Ranking,
    gallery: Gallery,
    found: Names,
    calibration: Calibration | None,
    probabilities: tuple[Floats, Floats] | None = None,
) -> list[Answer]:
    """A ranking in names.

    Args:
        names: names of the Q queries.
        ranking: the ranking.
        gallery: the N photos that were searched.
        found: names of the individuals and photos.
        calibration: the model's function from a distance to similarity, or None.
        probabilities: of each candidate, `[Q, k]`, and of a new individual, `[Q]`; None if they are unknown.
    """
    sizes = np.bincount(gallery.individuals)

    def match(index: int, distance: float) -> PhotoMatch:
        owner = found.individuals[gallery.individuals[index]]
        return PhotoMatch(int(gallery.photos[index]), *found.photos[index], owner, distance, similarity(distance))

    def similarity(distance: float) -> float | None:
        return None if calibration is None else calibration.similarity(distance)

    told = []
    shared = np.full(ranking.individuals.shape, -1) if ranking.points is None else ranking.points
    for query, name in enumerate(names):
        columns = ranking.individuals, ranking.distances, ranking.best, ranking.nearest, shared
        rows = zip(*(column[query] for column in columns), strict=True)
        chances = None if probabilities is None else probabilities[0][query].tolist()
        candidates = tuple(
            Candidate(
                found.individuals[each],
                float(far),
                similarity(float(far)),
                None if chances is None else chances[place],
                match(best, float(near)),
                int(sizes[each]),
                None if points < 0 else int(points),
            )
            for place, (each, far, best, near, points) in enumerate(rows)
        )
        seen = zip(ranking.photos[query], ranking.photo_distances[query], strict=True)
        new = None if probabilities is None else float(probabilities[1][query])
        told.append(Answer(name, new, candidates, tuple(match(index, float(far)) for index, far in seen)))
    return told


class Segments:
    """The photos in order of their individuals, for figures over the photos of each.

    Args:
        individuals: index of each photo's individual, int64 `[N]`.
        count: number of individuals, each with at least one photo.
    """

    def __init__(self, individuals: NDArray[np.int64], count: int) -> None:
        self.order = np.argsort(individuals, kind="stable")
        self.owner = individuals[self.order]
        self.sizes = np.bincount(individuals, minlength=count)
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])

    def nearest(self, distances: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The smallest distance to each individual, and the index of that photo, each `[Q, I]`."""
        ordered = distances[:, self.order]
        smallest = np.minimum.reduceat(ordered, self.starts, axis=1)
        places = np.where(ordered == smallest[:, self.owner], np.arange(len(self.order)), len(self.order))
        return smallest, self.order[np.minimum.reduceat(places, self.starts, axis=1)]

    def score(self, distances: Floats, scoring: Scoring) -> Floats:
        """The distance to each individual `[Q, I]` by those to the photos `[Q, N]`."""
        return self.nearest(distances)[0] if scoring == "nearest" else self.mean(distances, scoring)

    def mean(self, distances: NDArray[np.float64], scoring: Scoring) -> NDArray[np.float64]:
        """The mean distance to each individual's photos, `[Q, I]`; for a number, to so many nearest ones."""
        if scoring == "mean":
            return np.add.reduceat(distances[:, self.order], self.starts, axis=1) / self.sizes
        ranks = np.arange(len(self.order)) - self.starts[self.owner]
        kept, among = ranks < int(scoring), np.minimum(self.sizes, int(scoring))
        means = np.empty((len(distances), len(self.sizes)))
        for row, ordered in zip(means, distances[:, self.order], strict=True):
            ascending = ordered[np.lexsort((ordered, self.owner))]
            row[:] = np.bincount(self.owner[kept], ascending[kept], len(self.sizes)) / among
        return means


def _by_nearest(queries: Tensor, gallery: Gallery, distance: Distance, k: int) -> Ranking:
    """Rank individuals by their nearest photo: search more photos until each query has found k individuals."""
    shape = len(queries), k
    individuals, best, distances = np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape)
    left, wide = np.arange(len(queries)), k
    first: tuple[NDArray[np.int64], NDArray[np.float64]] | None = None
    while len(left):
        index, near = gallery.nearest(queries[torch.from_numpy(left)], wide, distance)
        if first is None:
            first = index, near
        short = []
        for row, query in enumerate(left):
            owners, places = np.unique(gallery.individuals[index[row]], return_index=True)
            if len(owners) < k and wide < len(gallery):
                short.append(query)
                continue
            order = np.sort(places)[:k]
            individuals[query, : len(order)] = gallery.individuals[index[row, order]]
            best[query, : len(order)], distances[query, : len(order)] = index[row, order], near[row, order]
        left, wide = np.array(short, np.int64), min(wide * WIDER, len(gallery))
    assert first is not None, "there is a query"
    return Ranking(individuals, distances, best, distances, *first)


def own_score(distances: Floats, scoring: Scoring) -> float:
    """Distance of photos of a query to an individual, by those to its photos, `[T, n]`: the mean over the T photos."""
    most = distances.shape[1] if scoring == "mean" else 1 if scoring == "nearest" else scoring
    return float(np.sort(distances, axis=1)[:, :most].mean())


def _merged(index: NDArray[np.int64], order_by: Floats, near: Floats, k: int) -> tuple[NDArray[np.int64], Floats]:
    """The k photos nearest to any query, and their distances, as if for one query: `[1, k]` each."""
    order = np.lexsort((index.ravel(), order_by.ravel()))
    _, places = np.unique(index.ravel()[order], return_index=True)
    chosen = np.sort(places)[:k]
    return index.ravel()[order][chosen][None], near.ravel()[order][chosen][None]
