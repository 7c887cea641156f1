"""Probabilities of candidates and of "new", against a world whose true ones are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from siamesekit.gallery.identification import NEAREST, Identification, fit, trials
from siamesekit.gallery.identifying import EACH, _distances, _queries, fit_identification
from siamesekit.gallery.search import Gallery, Scoring
from siamesekit.registry import DISTANCES

SAME, DIFFERENT = 2.0, 6.0
"""Mean distances; both have spread 1, so the log-likelihood ratio is linear: (SAME − DIFFERENT) · d + 16."""
PEOPLE = 200


def world(rng: np.random.Generator, queries: int, individuals: int, enrolled: bool) -> NDArray[np.float64]:
    """Distances of queries to individuals; the first one is the query's own if it is enrolled."""
    distances = rng.normal(DIFFERENT, 1, (queries, individuals))
    if enrolled:
        distances[:, 0] = rng.normal(SAME, 1, queries)
    return distances


def truth(distances: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bayes' rule for one new individual in two queries: of each individual, and of a new one."""
    ratios = np.exp((SAME - DIFFERENT) * distances - (SAME**2 - DIFFERENT**2) / 2)
    total = ratios.sum(1) / distances.shape[1]
    return ratios / distances.shape[1] / (1 + total)[:, None], 1 / (1 + total)


def fitted(seed: int, photos: int = 3) -> Identification:
    """Fitted to photos of `PEOPLE` individuals, each of which is searched among the others."""
    rng = np.random.default_rng(seed)
    own = np.repeat(np.arange(PEOPLE), photos)
    distances = rng.normal(DIFFERENT, 1, (len(own), PEOPLE))
    distances[np.arange(len(own)), own] = rng.normal(SAME, 1, len(own))
    found = fit(trials(distances, own, rng))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def model() -> Identification:
    return fitted(0)


@pytest.mark.parametrize("individuals", [5, 20, 200])
@pytest.mark.parametrize("enrolled", [True, False])
def test_probabilities_are_those_of_bayes_rule(model: Identification, individuals: int, enrolled: bool) -> None:
    distances = world(np.random.default_rng(1), 4000, individuals, enrolled)
    order = np.argsort(distances, axis=1)
    expected, new = truth(distances)
    each, found = model.probabilities(np.take_along_axis(distances, order, 1), individuals)
    np.testing.assert_allclose(each.sum(1) + found, 1, atol=1e-12)
    assert np.abs(found - new).mean() < 0.02
    assert np.abs(each - np.take_along_axis(expected, order, 1))[:, :NEAREST].max(1).mean() < 0.02


def test_the_parameters_are_those_of_the_world(model: Identification) -> None:
    assert model.slope == pytest.approx(DIFFERENT - SAME, rel=0.25)
    assert model.scale == pytest.approx(1, abs=0.25)
    assert model.growth == pytest.approx(1, abs=0.25)
    assert (model.individuals, model.largest) == (PEOPLE, PEOPLE - 1)


def test_probabilities_are_calibrated(model: Identification) -> None:
    rng = np.random.default_rng(2)
    for size in (10, 100, 2000):  # the last one is ten times as large as any gallery of the fit
        rows = [np.sort(world(rng, 3000, size, enrolled), axis=1)[:, :NEAREST] for enrolled in (True, False)]
        chance = np.concatenate([model.probabilities(row, size)[1] for row in rows])
        new = np.repeat([False, True], 3000)
        for low in np.arange(0, 1, 0.2):
            inside = (chance >= low) & (chance <= low + 0.2)
            if inside.sum() > 100:
                error = 4 * math.sqrt(0.25 / inside.sum())
                assert abs(new[inside].mean() - chance[inside].mean()) < 0.06 + error, (size, low)


def test_other_shares_of_new_individuals_follow_bayes_rule(model: Identification) -> None:
    distances = np.sort(world(np.random.default_rng(3), 50, 30, False), axis=1)
    _, half = model.probabilities(distances, 30)
    _, tenth = model.probabilities(distances, 30, 0.1)
    np.testing.assert_allclose(tenth / (1 - tenth), half / (1 - half) * (0.1 / 0.9), rtol=1e-6)
    with pytest.raises(ValueError, match="new_share"):
        model.probabilities(distances, 30, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_the_promised_rate_of_false_known_ones_is_kept_on_average(rate: float) -> None:
    measured = []
    for seed in range(12):
        model, rng = fitted(seed, 1), np.random.default_rng(100 + seed)
        limit = model.limit(rate)
        assert limit is not None
        strangers = np.sort(rng.normal(DIFFERENT, 1, (3000, model.largest)), axis=1)[:, :NEAREST]
        measured.append(float((model.probabilities(strangers, model.largest)[1] <= limit).mean()))
    mean, error = np.mean(measured), np.std(measured, ddof=1) / math.sqrt(len(measured))
    assert mean <= rate + 2 * error
    assert mean >= rate / 4, "the limit is so strict that it is of no use"


def test_too_few_individuals_promise_nothing() -> None:
    chances = np.linspace(0.1, 1, 30)
    few = Identification(1.0, 1.0, 0.0, 1.0, 30, 29, {29: tuple((each,) for each in chances)})
    assert few.limit(0.01) is None and few.limit(0.03) is None
    assert few.limit(0.05) == pytest.approx(0.1) and few.limit(0.05) < 0.1  # type: ignore[operator]
    assert few.limit(0.1) == pytest.approx(chances[2])


def test_each_individual_counts_alike_however_many_photos_it_has() -> None:
    """One individual with 98 near photos is one of 99, as are those with one photo."""
    many = ((*[0.01] * 98,), *[(0.5 + number / 1000,) for number in range(98)])
    model = Identification(1.0, 1.0, 0.0, 1.0, 99, 200, {200: many})
    assert model.limit(0.0101) < 0.01  # type: ignore[operator]
    assert model.limit(0.02) == pytest.approx(0.5)
    assert model.limit(0.03) == pytest.approx(0.501)


def test_a_limit_is_that_of_the_next_larger_galleries() -> None:
    by_size = {size: tuple((level,) for _ in range(50)) for size, level in ((10, 0.2), (100, 0.4), (500, 0.6))}
    model = Identification(1.0, 1.0, 0.0, 1.0, 50, 500, by_size)
    found = [model.limit(0.1, size) for size in (3, 10, 11, 100, 500, 9000, None)]
    assert found == pytest.approx([0.2, 0.2, 0.4, 0.4, 0.6, 0.6, 0.6])


def test_a_fit_needs_individuals_and_known_queries() -> None:
    rng = np.random.default_rng(4)
    own = np.arange(9)
    distances = rng.normal(DIFFERENT, 1, (9, 9))
    assert fit(trials(distances, own, rng)) is None
    own = np.arange(12)
    distances = rng.normal(DIFFERENT, 1, (12, 12))
    distances[own, own] = np.nan
    assert fit(trials(distances, own, rng)) is None
    distances[:] = 1.0
    assert fit(trials(distances, own, rng)) is None


@pytest.mark.medium
def test_distances_that_tell_nothing_give_no_probabilities() -> None:
    """The likeliest slope is 0 or below then; with it, galleries of fewer than 12 would have no probabilities."""
    own = np.repeat(np.arange(14), 3)
    outcomes = set()
    for seed in range(8):
        rng = np.random.default_rng(seed)
        distances = rng.normal(DIFFERENT, 1, (42, 14))
        distances[np.arange(42), own] = rng.normal(DIFFERENT + (1 if seed % 2 else -0.5), 1, 42)
        model = fit(trials(distances, own, rng))
        outcomes.add((seed % 2, model is None))
        if model is not None:
            assert all(0 < chance < 1 for rows in model.strangers.values() for row in rows for chance in row)
    assert {(1, True), (0, False)} <= outcomes and (1, False) not in outcomes


def test_fewer_photos_are_searched_together_if_individuals_have_no_more() -> None:
    rng = np.random.default_rng(12)
    individuals = np.repeat(np.arange(14), 4)
    points = rng.normal(size=(14, 4))[individuals] + 0.2 * rng.normal(size=(56, 4))
    gallery = Gallery(torch.from_numpy(points), np.arange(56), individuals)
    found = fit_identification(gallery, DISTANCES.build("euclidean"), np.zeros(14, np.bool_), together=9)
    assert found.model is not None
    assert found.note.startswith("probabilities are fitted to 3 photos at a time of 14 individuals")


def test_trials_have_each_query_with_and_without_its_individual() -> None:
    distances = np.array([[1.0, 5.0, 3.0], [np.nan, 9.0, 2.0], [4.0, 7.0, 8.0]])
    found = trials(distances, np.array([0, 0, 2]), np.random.default_rng(0), [2])
    rows = list(zip(found.distances[:, :3].tolist(), found.own.tolist(), found.size.tolist(), strict=True))
    assert rows == [
        ([3.0, 5.0, math.inf], -2, 2), ([1.0, 3.0, math.inf], 0, 2),
        ([2.0, 9.0, math.inf], -2, 2),
        ([4.0, 7.0, math.inf], -2, 2), ([4.0, 8.0, math.inf], 1, 2),
    ]  # fmt: skip


def test_perfectly_separable_photos_give_finite_numbers() -> None:
    own = np.repeat(np.arange(15), 2)
    distances = np.full((30, 15), 10.0) + np.random.default_rng(5).normal(0, 0.1, (30, 15))
    distances[np.arange(30), own] = 1.0
    model = fit(trials(distances, own, np.random.default_rng(6)))
    assert model is not None
    each, new = model.probabilities(np.array([[1.0, 10.0], [10.0, 10.0]]), 15)
    assert each[0, 0] > 0.9 and new[1] > 0.9 and np.isfinite(each).all()


@pytest.mark.parametrize("together", [1, 2, 3])
@pytest.mark.parametrize("scoring", ["nearest", "mean", 2])
def test_the_trials_are_searched_as_queries_are(scoring: Scoring, together: int) -> None:
    """Against loops: a group's own photos are no candidates, and its score is the mean over the group."""
    rng = np.random.default_rng(7)
    individuals = np.repeat(np.arange(6), [5, 1, 4, 2, 3, 6])[rng.permutation(21)]
    points = torch.from_numpy(rng.normal(size=(21, 3)))
    gallery = Gallery(points, np.arange(21), individuals)
    distance = DISTANCES.build("euclidean")
    queries = _queries(gallery, np.arange(6), together, np.random.default_rng(8))
    assert len(set(queries.ravel())) == queries.size and queries.shape[1] == together
    assert all(len(set(individuals[group])) == 1 for group in queries)
    counts = np.bincount(individuals[queries[:, 0]], minlength=6)
    assert counts.tolist() == [min(EACH, size // together) for size in [5, 1, 4, 2, 3, 6]]
    found = _distances(queries, gallery, distance, 6, scoring)
    for group, row in zip(queries, found, strict=True):
        for individual in range(6):
            others = [n for n in range(21) if individuals[n] == individual and n not in group]
            if not others:
                assert np.isnan(row[individual])
                continue
            each = []
            for photo in group:
                far = sorted(float((points[photo] - points[other]).norm()) for other in others)
                each.append(np.mean(far[: {"nearest": 1, "mean": 99}.get(str(scoring), 2)]))
            assert row[individual] == pytest.approx(np.mean(each), rel=1e-6)


def test_several_photos_are_surer_than_one() -> None:
    """In a world of known truth, the model of groups is as well calibrated as that of single photos, and sharper."""
    rng = np.random.default_rng(9)
    centres = rng.normal(size=(80, 8))
    individuals = np.repeat(np.arange(80), 8)
    points = centres[individuals] + 0.5 * rng.normal(size=(640, 8))
    gallery = Gallery(torch.from_numpy(points), np.arange(640), individuals)
    distance, strangers = DISTANCES.build("euclidean"), np.zeros(80, np.bool_)
    costs = {}
    for together in (1, 3):
        model = fit_identification(gallery, distance, strangers, together=together).model
        assert model is not None
        people = np.concatenate([centres, rng.normal(size=(80, 8))])  # half of them are new
        fresh = people[np.repeat(np.arange(160), together)] + 0.5 * rng.normal(size=(160 * together, 8))
        far = np.linalg.norm(fresh[:, None] - points[None], axis=2).reshape(160, together, 80, 8).min(3).mean(1)
        _, new = model.probabilities(np.sort(far, axis=1)[:, :NEAREST], 80)
        true = np.arange(160) >= 80
        costs[together] = float(np.mean((new - true) ** 2))
        assert abs(float(new.mean()) - 0.5) < 0.08
    assert costs[3] < 0.9 * costs[1]
