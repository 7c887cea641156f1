"""Re-ranking and query expansion of a search, against galleries that are searched one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from conftest import write_photos
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.errors import UserError
from siamesekit.evaluation.intervals import Floats
from siamesekit.evaluation.query_expansion import QueryExpansion, expand_queries
from siamesekit.evaluation.re_ranking import KReciprocal, ReRanker
from siamesekit.gallery.catalogue import enrol
from siamesekit.gallery.identification import NEAREST
from siamesekit.gallery.identifying import fit_identification
from siamesekit.gallery.refined_trials import refined_trials
from siamesekit.gallery.refinement import Refinement, Refiner, refinement_of
from siamesekit.gallery.search import Gallery, Scoring, rank
from siamesekit.gallery.search_options import SearchOptions
from siamesekit.gallery.second_look import SecondLook
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


@pytest.mark.parametrize("refinement", [BOTH, Refinement(None, BOTH.expand)], ids=str)
@pytest.mark.parametrize("together", [1, 2])
def test_trials_are_searches_in_galleries_with_and_without_the_individual(
    refinement: Refinement, together: int
) -> None:
    _, gallery = crowd(2, 7, 4)
    groups = np.stack([np.flatnonzero(gallery.individuals == n)[:together] for n in range(7)])
    found = refined_trials(groups, gallery, Euclidean(), refinement, "nearest", np.random.default_rng(3))
    whole = found.size == np.where(found.new, 6, 7)
    assert whole.sum() == 14 and (found.size == 5).sum() == 5 + 2  # one gallery of five, and the two outside it
    for number, group in enumerate(groups):
        for new in (True, False):
            [row] = np.flatnonzero(whole & (found.individual == number) & (found.new == new))
            there = np.flatnonzero(gallery.individuals != number) if new else np.setdiff1d(np.arange(28), group)
            far = [plainly(gallery.embeddings[photo], gallery, there, refinement) for photo in group]
            owners = gallery.individuals[there]
            each = {n: np.mean([row[owners == n].min() for row in far]) for n in np.unique(owners)}
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


def test_what_cannot_be_combined_is_refused() -> None:
    with pytest.raises(UserError, match="cannot be combined"):
        SearchOptions(second_look=SecondLook(), refinement=Refinement(KReciprocal()))
    with pytest.raises(UserError, match="expected k-reciprocal, not 'k-nearest'"):
        refinement_of("k-nearest", None)
    with pytest.raises(UserError, match="at least 1"):
        refinement_of(None, 0)
    assert refinement_of(None, None) is None
