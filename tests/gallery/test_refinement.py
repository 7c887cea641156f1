"""Re-ranking and query expansion of a search, against galleries that are searched one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from conftest import write_photos
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.matchers.matcher import Keypoints, PointMatches
from siamesekit.data.records import Record
from siamesekit.errors import UserError
from siamesekit.evaluation.intervals import Floats
from siamesekit.evaluation.query_expansion import QueryExpansion, expand_queries
from siamesekit.evaluation.re_ranking import KReciprocal, ReRanker
from siamesekit.gallery.catalogue import enrol
from siamesekit.gallery.fusion import Fusion, fit_fusion
from siamesekit.gallery.identification import NEAREST
from siamesekit.gallery.identifying import fit_identification
from siamesekit.gallery.refined_trials import RefinedTrials
from siamesekit.gallery.refinement import Refinement, Refiner, refinement_of
from siamesekit.gallery.search import Gallery, Scoring, rank
from siamesekit.gallery.second_look import Looker, SecondLook, look_again
from siamesekit.gallery.sighting import Sighting
from siamesekit.progress import Progress
from siamesekit.registry import READERS

BOTH = Refinement(KReciprocal(4, 2, 0.3, 200), QueryExpansion(2, 1.0))


def crowd(seed: int, individuals: int, photos: int, spread: float = 0.5) -> tuple[Floats, Gallery]:
    """Centres `[I, 6]`, and a gallery of photos around them, float64."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(individuals, 6))
    owner = rng.permutation(np.repeat(np.arange(individuals), photos))
    points = torch.from_numpy(centres[owner] + spread * rng.normal(size=(len(owner), 6)))
    return centres, Gallery(points, np.arange(len(owner)), owner)


def plainly(query: torch.Tensor, gallery: Gallery, there: NDArray[np.int64], refinement: Refinement) -> Floats:
    """Refined distances of a query to the photos that are there, by the functions of the evaluation."""
    query, photos = query[None], gallery.embeddings[torch.from_numpy(there)]
    if refinement.expand is not None:
        query = expand_queries(query, photos, "euclidean", refinement.expand)
    if refinement.rerank is None:
        return np.asarray((query - photos).norm(dim=1))
    ranker = ReRanker(photos, Euclidean(), refinement.rerank)
    ranker.unit = ReRanker(gallery.embeddings, Euclidean(), refinement.rerank).unit  # that of the whole gallery
    found: Floats = ranker(query)[0]
    return found


@pytest.mark.medium
@pytest.mark.parametrize("refinement", [BOTH, Refinement(BOTH.rerank), Refinement(None, BOTH.expand)], ids=str)
@pytest.mark.parametrize("scoring", ["nearest", "mean", 2])
@pytest.mark.parametrize("together", [False, True])
def test_individuals_are_ranked_by_refined_distances(refinement: Refinement, scoring: Scoring, together: bool) -> None:
    _, gallery = crowd(0, 8, 4)
    queries = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 6)))
    refine = Refiner(gallery.embeddings, Euclidean(), refinement)
    ranking = rank(queries, gallery, Euclidean(), 8, scoring, together, refine)
    photos = np.stack([plainly(query, gallery, np.arange(32), refinement) for query in queries])
    far = torch.cdist(queries, gallery.embeddings).numpy()
    most = {"nearest": 1, "mean": 99}.get(str(scoring), 2)

    def scores(table: Floats) -> Floats:
        each = [np.sort(table[:, gallery.individuals == n], axis=1)[:, :most].mean(1) for n in range(8)]
        return np.stack(each, axis=1).mean(0, keepdims=True) if together else np.stack(each, axis=1)

    order = np.argsort(scores(photos), axis=1, kind="stable")
    np.testing.assert_array_equal(ranking.individuals, order)
    assert ranking.fused is not None
    np.testing.assert_allclose(ranking.fused, np.take_along_axis(scores(photos), order, 1), rtol=1e-6)
    np.testing.assert_allclose(ranking.distances, np.take_along_axis(scores(far), order, 1), rtol=1e-6)
    first = photos.min(0)[None] if together else photos
    np.testing.assert_array_equal(ranking.photos, np.argsort(first, axis=1, kind="stable")[:, :8])


@pytest.mark.medium
@pytest.mark.parametrize("refinement", [BOTH, Refinement(None, BOTH.expand)], ids=str)
@pytest.mark.parametrize("together", [1, 2])
@pytest.mark.parametrize("moved", [False, True])
def test_trials_are_searches_in_galleries_with_and_without_the_individual(
    refinement: Refinement, together: int, moved: bool
) -> None:
    _, gallery = crowd(2, 7, 4)
    groups = np.stack([np.flatnonzero(gallery.individuals == n)[:together] for n in range(7)])
    moves = np.random.default_rng(13).normal(0, 0.2, (7, 7)) if moved else np.zeros((7, 7))
    trials = RefinedTrials(groups, gallery, Euclidean(), refinement, "nearest")
    found = trials.trials(np.random.default_rng(3), moves if moved else None)
    whole = found.size == np.where(found.new, 6, 7)
    assert whole.sum() == 14 and (found.size == 5).sum() == 5 + 2  # one gallery of five, and the two outside it
    for number, group in enumerate(groups):
        for new in (True, False):
            [row] = np.flatnonzero(whole & (found.individual == number) & (found.new == new))
            there = np.flatnonzero(gallery.individuals != number) if new else np.setdiff1d(np.arange(28), group)
            far = [plainly(gallery.embeddings[photo], gallery, there, refinement) for photo in group]
            owners = gallery.individuals[there]
            each = {n: moves[number, n] + np.mean([row[owners == n].min() for row in far]) for n in np.unique(owners)}
            expected = sorted(each.values())
            np.testing.assert_allclose(found.distances[row, : len(expected)], expected, rtol=1e-6)
            assert np.isinf(found.distances[row, len(expected) :]).all()
            assert found.own[row] == (-2 if new else sorted(each, key=lambda n: each[n]).index(number))


@pytest.mark.slow
@pytest.mark.parametrize("refinement", [Refinement(KReciprocal(6, 3)), Refinement(None, QueryExpansion(3))], ids=str)
def test_probabilities_after_a_refinement_are_calibrated(refinement: Refinement) -> None:
    """Expansion moves a stranger toward its nearest individual; the fit to expanded strangers accounts for it."""
    centres, gallery = crowd(4, 60, 6)
    strangers = np.zeros(60, np.bool_)
    model = fit_identification(gallery, Euclidean(), strangers, refinement=refinement).model
    assert model is not None
    rng = np.random.default_rng(5)
    people = np.concatenate([centres, rng.normal(size=(60, 6))]).repeat(4, axis=0)
    queries = torch.from_numpy(people + 0.5 * rng.normal(size=people.shape))
    refine = Refiner(gallery.embeddings, Euclidean(), refinement)
    ranking = rank(queries, gallery, Euclidean(), NEAREST, refine=refine)
    assert ranking.fused is not None
    new = model.probabilities(ranking.fused, 60)[1]
    true = np.arange(len(people)) >= len(people) // 2
    for low, high in ((0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)):
        inside = (new >= low) & (new <= high)
        if inside.sum() >= 20:
            assert abs(true[inside].mean() - new[inside].mean()) < 0.07 + 3 * np.sqrt(0.25 / inside.sum())
    assert abs(float(new.mean()) - 0.5) < 0.08


@pytest.mark.medium
def test_a_catalogue_is_searched_with_re_ranking_and_expansion(telling: Path, tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", [f"p{number:02}" for number in range(11)])
    records = READERS.build("folder", {"root": str(folder)}, seed=0)
    catalogue, _ = enrol(telling, records, tmp_path / "c", Progress())
    files = [sorted((folder / name).iterdir())[0] for name in ("p00", "p05")]
    with catalogue:
        plain = catalogue.search(files, 11)
        moved = catalogue.search(files, 11, rerank=KReciprocal(4, 2), expand=2)
        assert [each.new for each in moved] != [each.new for each in plain]
        for answer, other in zip(moved, plain, strict=True):
            chances = [candidate.probability for candidate in answer.candidates]
            assert answer.new is not None
            assert sum(chances) + answer.new == pytest.approx(1)  # type: ignore[arg-type]
            assert chances == sorted(chances, reverse=True)  # type: ignore[type-var]
            shown = {candidate.individual: candidate.distance for candidate in answer.candidates}
            before = {candidate.individual: candidate.distance for candidate in other.candidates}
            assert shown == pytest.approx(before, abs=1e-3)  # the distances of the photos, as without
        note = catalogue.identification(refinement=refinement_of(KReciprocal(4, 2), 2)).note
        assert note.endswith("each searched with query expansion by 2 photos and k-reciprocal re-ranking")
        where = catalogue.search(files[0], where="individual != 'p00'", rerank="k-reciprocal")
        assert "p00" not in {candidate.individual for candidate in where[0].candidates}


class Table:
    """A matcher for photos of one pixel: two share as many points as a table `[N, N]` says."""

    def __init__(self, counts: NDArray[np.int64]) -> None:
        self.counts = counts

    def describe(self, photo: NDArray[np.uint8]) -> Keypoints:
        return Keypoints(np.full((1, 2), photo[0, 0, 0], np.float32), np.ones((1, 1), np.float32), (1, 1))

    def match(self, first: Keypoints, second: Keypoints) -> PointMatches:
        places = np.zeros((self.counts[int(first.points[0, 0]), int(second.points[0, 0])], 2), np.float32)
        return PointMatches(places, places)


def seen(index: int) -> Sighting:
    """The photo of an index: one pixel of this value."""
    return Sighting(Record(f"photo {index}", "", lambda: np.full((1, 1, 3), index, np.uint8)))


@pytest.fixture
def shared() -> tuple[Gallery, NDArray[np.int64], Looker]:
    """A gallery of 14 individuals, points that their photos share, more within an individual, and a second look."""
    _, gallery = crowd(6, 14, 4, 0.8)
    counts = np.random.default_rng(7).poisson(3, (56, 56))
    counts += 8 * (gallery.individuals[:, None] == gallery.individuals)
    counts = np.triu(counts) + np.triu(counts, 1).T
    return gallery, counts, Looker(SecondLook(Table(counts), 5, 2), gallery, Euclidean(), seen)


def looked_at(gallery: Gallery, query: torch.Tensor, photos: NDArray[np.int64], counts: NDArray[np.int64]) -> int:
    """Most points that a query, with so many for each photo, shares with the two nearest of an individual's photos."""
    near = sorted(photos, key=lambda photo: float((gallery.embeddings[photo] - query).norm()))[:2]
    return max(int(counts[photo]) for photo in near)


def test_a_second_look_moves_refined_distances(shared: tuple[Gallery, NDArray[np.int64], Looker]) -> None:
    """Against loops: the best five by the refined distance are looked at, and moved by their points."""
    gallery, counts, looker = shared
    fusion, count = Fusion(0.2, 1.5), 14
    queries = gallery.embeddings[:3] + 0.3
    ranking = rank(queries, gallery, Euclidean(), count, refine=Refiner(gallery.embeddings, Euclidean(), BOTH))
    found = look_again(ranking, looker, [(query[None], [seen(n)]) for n, query in enumerate(queries)], fusion)
    assert found.fused is not None and found.points is not None
    for row, query in enumerate(queries):
        far = plainly(query, gallery, np.arange(56), BOTH)
        refined = np.array([far[gallery.individuals == n].min() for n in range(count)])
        moved, points = refined.copy(), np.full(count, -1)
        for individual in np.argsort(refined)[:5]:
            own = np.flatnonzero(gallery.individuals == individual)
            points[individual] = looked_at(gallery, query, own, counts[row])
            moved[individual] -= 0.2 * (np.log1p(points[individual]) - 1.5)
        order = np.argsort(moved, kind="stable")
        np.testing.assert_array_equal(found.individuals[row], order)
        np.testing.assert_allclose(found.fused[row], moved[order], rtol=1e-6)
        np.testing.assert_array_equal(found.points[row], points[order])
    assert (found.individuals != ranking.individuals).any()


@pytest.mark.medium
def test_points_are_weighed_against_refined_distances(shared: tuple[Gallery, NDArray[np.int64], Looker]) -> None:
    """The weight is that of a fit to each photo, searched among the others by loops, and the fit of "new" has it."""
    gallery, counts, looker = shared
    found = fit_identification(gallery, Euclidean(), np.zeros(14, np.bool_), looker=looker, refinement=BOTH)
    far, points, place = np.empty((56, 5)), np.empty((56, 5), np.int64), np.full(56, -1)
    for photo in range(56):
        there = np.setdiff1d(np.arange(56), [photo])
        refined = plainly(gallery.embeddings[photo], gallery, there, BOTH)
        owners = gallery.individuals[there]
        scores = np.array([refined[owners == n].min() for n in range(14)])
        for column, individual in enumerate(np.argsort(scores)[:5]):
            far[photo, column] = scores[individual]
            own = there[owners == individual]
            points[photo, column] = looked_at(gallery, gallery.embeddings[photo], own, counts[photo])
            if individual == gallery.individuals[photo]:
                place[photo] = column
    expected = fit_fusion(far, points, place, gallery.individuals)
    assert found.fusion is not None and expected is not None and found.model is not None
    assert found.fusion.weight == pytest.approx(expected.weight, rel=1e-3) and expected.weight > 0.02
    assert found.fusion.chance == pytest.approx(expected.chance)
    assert found.note.endswith("of refined distance") and "k-reciprocal re-ranking; 20 shared" in found.note


def test_what_is_no_refinement_is_refused() -> None:
    with pytest.raises(UserError, match="expected k-reciprocal, not 'k-nearest'"):
        refinement_of("k-nearest", None)
    with pytest.raises(UserError, match="at least 1"):
        refinement_of(None, 0)
    assert refinement_of(None, None) is None
