"""Calibration against independent optimisers, and cross-fitting against a plain loop."""

import math
import time
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

from siamesekit import calibration
from siamesekit.calibration import (
    Calibration,
    ScoredPairs,
    calibrate,
    choose_pairs,
    cross_fit,
    equal_error_rate,
    pairs_of,
    roc_auc,
    roc_curve,
    true_accept_rate,
)
from siamesekit.distances.euclidean import Euclidean

Floats = NDArray[np.float64]


def case(seed: int, individuals: int = 6, photos: int = 4, noise: float = 1.0) -> ScoredPairs:
    """Pairs of photos of individuals whose embeddings lie around their own centres."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(individuals) * 10, photos)
    points = 1.5 * rng.normal(size=(individuals, 2)).repeat(photos, 0) + noise * rng.normal(size=(len(labels), 2))
    return pairs_of(torch.from_numpy(points), labels, Euclidean(), rng)


def soft_targets(pairs: ScoredPairs) -> tuple[Floats, Floats]:
    """Platt's targets for the fewer of the two kinds, and weights under which both count equally."""
    positives, negatives = sum(pairs.same), sum(~pairs.same)
    fewer = min(positives, negatives)
    target = [(fewer + 1) / (fewer + 2) if same else 1 / (fewer + 2) for same in pairs.same]
    weight = [0.5 / positives if same else 0.5 / negatives for same in pairs.same]
    return np.array(target), np.array(weight)


def fitted(pairs: ScoredPairs, rate: float = 0.0) -> Calibration:
    found = calibrate(pairs, rate)
    assert found is not None
    return found


def test_pairs_are_all_i_below_j() -> None:
    points, labels = np.array([[0.0], [1], [3], [7]]), np.array([7, 7, 8, 9])
    pairs = pairs_of(torch.from_numpy(points), labels, Euclidean(), np.random.default_rng(0))
    expected = [(abs(points[i, 0] - points[j, 0]), *labels[[i, j]]) for i, j in combinations(range(4), 2)]
    assert list(zip(pairs.distance, pairs.first, pairs.second, strict=True)) == expected
    assert pairs.same.tolist() == [True, False, False, False, False, False]
    assert pairs.total == 6
    assert pairs.among(np.array([7, 9])).distance.tolist() == [1, 7, 6]


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 12), st.integers(2, 800))
@settings(deadline=None)
def test_a_sample_keeps_the_same_pairs_that_fit(seed: int, photos: int, individuals: int, most: int) -> None:
    labels = np.random.default_rng(seed).integers(individuals, size=photos)
    i, j = choose_pairs(labels, np.random.default_rng(seed), most)
    every = set(combinations(range(photos), 2))
    same = {(a, b) for a, b in every if labels[a] == labels[b]}
    chosen = list(zip(i.tolist(), j.tolist(), strict=True))
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= every
    if len(every) <= most:
        assert set(chosen) == every
    else:
        kept = min(len(same), most // 2)
        assert len(set(chosen) & same) == kept
        assert len(chosen) == kept + min(most - kept, len(every) - len(same))


@pytest.mark.parametrize("most", [60, 12])
def test_every_pair_of_a_kind_is_drawn_as_often(most: int) -> None:
    """With 60 nearly all are enumerated, with 12 some are drawn until there are enough."""
    labels, draws = np.repeat(np.arange(7), [5, 2, 1, 4, 1, 1, 2]), 4000
    rng, counts = np.random.default_rng(0), np.zeros((16, 16))
    for _ in range(draws):
        i, j = choose_pairs(labels, rng, most)
        counts[i, j] += 1
    i, j = np.triu_indices(16, k=1)
    for kind in (labels[i] == labels[j], labels[i] != labels[j]):
        of_kind = counts[i[kind], j[kind]]
        p = of_kind.mean() / draws
        assert abs(of_kind - of_kind.mean()).max() <= 4.5 * np.sqrt(draws * p * (1 - p)) + 1e-9


@pytest.mark.timeout(20)
@pytest.mark.parametrize("photos", [[4000, 3], [3, 4000], [30_000, 2, 1]], ids=str)
def test_few_different_pairs_among_very_many_are_all_found_at_once(photos: list[int]) -> None:
    """To draw pairs until all the different ones have come would take as long as to collect coupons."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(photos)), photos))
    different = (sum(photos) ** 2 - sum(n**2 for n in photos)) // 2
    start = time.process_time()
    i, j = choose_pairs(labels, np.random.default_rng(0), 2 * different)
    assert time.process_time() - start < 2
    assert (i < j).all()
    assert len(np.unique(i * len(labels) + j)) == 2 * different
    assert (labels[i] != labels[j]).sum() == different


def test_a_sample_is_of_the_distances_of_its_pairs_and_the_seed_s() -> None:
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(5000, 2)), rng.integers(800, size=5000)
    one, again, other = (pairs_of(torch.from_numpy(points), labels, Euclidean(), np.random.default_rng(seed), 30_000)
                         for seed in (1, 1, 2))  # fmt: skip
    i, j = choose_pairs(labels, np.random.default_rng(1), 30_000)
    np.testing.assert_allclose(one.distance, np.linalg.norm(points[i] - points[j], axis=1), atol=1e-12)
    np.testing.assert_array_equal(one.same, labels[i] == labels[j])
    assert (one.total, len(one.distance)) == (5000 * 4999 // 2, 30_000)
    np.testing.assert_array_equal(one.distance, again.distance)
    assert not np.array_equal(one.distance, other.distance)


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_is_the_one_that_scipy_finds(seed: int) -> None:
    pairs = case(seed)
    target, weight = soft_targets(pairs)

    def cost(beta: Floats) -> float:
        p = 1 / (1 + np.exp(beta[0] * pairs.distance + beta[1]))
        return float(-(weight * (target * np.log(p) + (1 - target) * np.log(1 - p))).sum())

    best = minimize(cost, np.array([1.0, -1.0]), method="BFGS", options={"gtol": 1e-9})
    found = fitted(pairs)
    np.testing.assert_allclose((found.slope, found.intercept), best.x, rtol=1e-4)
    assert cost(np.array([found.slope, found.intercept])) <= best.fun + 1e-12


def test_the_curve_is_scikit_learns() -> None:
    pairs = case(7)
    target, weight = soft_targets(pairs)
    model = LogisticRegression(C=1e12, tol=1e-12, max_iter=10_000)
    twice = np.tile(pairs.distance, 2)[:, None]
    outcome = np.repeat([1, 0], len(target))
    model.fit(twice, outcome, sample_weight=1e3 * np.concatenate([weight * target, weight * (1 - target)]))
    found = fitted(pairs)
    np.testing.assert_allclose((found.slope, found.intercept), (-model.coef_[0, 0], -model.intercept_[0]), rtol=1e-3)


@given(st.integers(0, 10_000), st.floats(0.1, 3), st.floats(1e-3, 1e3))
@settings(deadline=None)
def test_similarity_is_half_at_the_threshold_falls_and_does_not_depend_on_the_unit(
    seed: int, noise: float, unit: float
) -> None:
    pairs = case(seed, noise=noise)
    found = calibrate(pairs)
    assume(found is not None)
    assert found is not None
    assert found.similarity(found.threshold) == pytest.approx(0.5, abs=1e-9)
    assert found.same(found.threshold)
    assert not found.same(math.nextafter(found.threshold, math.inf))
    similarities = [found.similarity(distance) for distance in np.linspace(0, pairs.distance.max(), 9)]
    assert similarities == sorted(similarities, reverse=True)
    scaled = fitted(ScoredPairs(pairs.distance * unit, pairs.first, pairs.second))
    assert scaled.threshold == pytest.approx(found.threshold * unit, rel=1e-6)


@pytest.mark.parametrize("gap", [0.5, 100.0])
def test_separable_distances_give_a_finite_curve_between_them(gap: float) -> None:
    first, second = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 0, 1])
    distance = np.where(first == second, [0.1, 0.2, 0, 0, 0.3], 1.0 + gap)
    found = fitted(ScoredPairs(distance, first, second))
    assert math.isfinite(found.slope)
    assert 0.3 < found.threshold < 1.0 + gap
    assert found.similarity(0.1) > 0.7
    assert found.similarity(1.0 + gap) < 0.3


def test_similarity_of_any_distance_is_finite_without_a_warning() -> None:
    steep = Calibration(slope=1e6, intercept=-1e6, threshold=1.0)
    with np.errstate(all="raise", under="ignore"):
        assert (steep.similarity(0.0), steep.similarity(1.0), steep.similarity(1e6)) == (1.0, 0.5, 0.0)


@given(st.integers(0, 10_000), st.one_of(st.floats(1e-3, 1), st.integers(1, 100).map(lambda n: n / 100)), st.booleans())
@settings(deadline=None)
def test_the_threshold_is_the_largest_that_keeps_the_false_accept_rate(seed: int, rate: float, coarse: bool) -> None:
    pairs = case(seed, individuals=5, photos=5, noise=0.5)
    if coarse:
        pairs = ScoredPairs(pairs.distance.round(1), pairs.first, pairs.second)  # ties
    found = calibrate(pairs, rate)
    assume(found is not None)
    assert found is not None
    different = pairs.distance[~pairs.same]
    assert (different <= found.threshold).mean() <= rate
    above = different[different > found.threshold]
    if len(above):
        assert (different <= above.min()).mean() > rate
        assert math.nextafter(found.threshold, math.inf) >= above.min(), "a larger threshold would do"


def test_a_rate_of_29_percent_of_100_pairs_accepts_29() -> None:
    distance = np.concatenate([[0.1, 0.2], np.arange(1.0, 101.0)])
    pairs = ScoredPairs(distance, np.zeros(102, np.int64), np.repeat([0, 1], [2, 100]))
    assert (distance[2:] <= fitted(pairs, 0.29).threshold).sum() == 29  # 0.29 * 100 is 28.999999999999996


@given(st.floats(0, 1e6), st.integers(2, 9), st.integers(1, 9))
def test_constant_distances_tell_nothing(distance: float, same: int, different: int) -> None:
    second = np.repeat([0, 1], [same, different])
    assert calibrate(ScoredPairs(np.full(same + different, distance), np.zeros_like(second), second)) is None


@pytest.mark.parametrize(
    ("distance", "second"),
    [([1.0, 2.0], [0, 0]), ([1.0, 2.0], [1, 1]), ([3.0, 1.0, 2.0, 0.5], [0, 1, 0, 1]), ([np.nan, 1.0], [0, 1]),
     ([np.inf, 1.0], [0, 1])],
    ids=["only same", "only different", "the wrong way", "nan", "infinite"],
)  # fmt: skip
def test_where_there_is_nothing_to_fit_there_is_no_calibration(distance: list[float], second: list[int]) -> None:
    assert calibrate(ScoredPairs(np.array(distance), np.zeros(len(second), np.int64), np.array(second))) is None


def scores(seed: int, coarse: bool) -> ScoredPairs:
    pairs = case(seed, individuals=5)
    return ScoredPairs(pairs.distance.round(1), pairs.first, pairs.second) if coarse else pairs


@given(st.integers(0, 10_000), st.booleans())
@settings(deadline=None, max_examples=40)
def test_the_roc_curve_and_its_area_are_scikit_learns_and_a_loops(seed: int, coarse: bool) -> None:
    pairs = scores(seed, coarse)
    threshold, false, true = roc_curve(pairs)
    expected = metrics.roc_curve(pairs.same, -pairs.distance, drop_intermediate=False)
    for found, other in zip((false, true, -threshold), expected, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-12)
    assert roc_auc(pairs) == pytest.approx(metrics.roc_auc_score(pairs.same, -pairs.distance), abs=1e-12)
    couples = [(s < d) + 0.5 * (s == d) for s in pairs.distance[pairs.same] for d in pairs.distance[~pairs.same]]
    assert roc_auc(pairs) == pytest.approx(np.mean(couples), abs=1e-12)


@given(st.integers(0, 10_000), st.booleans())
@settings(deadline=None, max_examples=40)
def test_at_the_equal_error_rate_scikit_learns_curve_has_as_many_errors_of_both_kinds(seed: int, coarse: bool) -> None:
    pairs = scores(seed, coarse)
    false, true, _ = metrics.roc_curve(pairs.same, -pairs.distance)
    expected = brentq(lambda x: 1 - x - np.interp(x, false, true), 0, 1, xtol=1e-14)
    assert equal_error_rate(pairs) == pytest.approx(expected, abs=1e-9)


def test_equal_error_rates_that_can_be_told_by_hand() -> None:
    first = np.zeros(8, dtype=np.int64)
    second = np.repeat([0, 1], 4)
    for distance, expected in (
        ([1, 2, 3, 4, 5, 6, 7, 8], 0.0),
        ([5, 6, 7, 8, 1, 2, 3, 4], 1.0),
        ([1, 2, 3, 6, 5, 7, 8, 9], 0.25),
        ([1, 1, 1, 1, 1, 1, 1, 1], 0.5),
        ([1, 1, 2, 2, 1, 2, 2, 2], 0.4),  # between (0.25, 0.5) and (1, 1): where 4 of 10 are wrong of both kinds
    ):
        pairs = ScoredPairs(np.array(distance, dtype=float), first, second)
        assert equal_error_rate(pairs) == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 10_000), st.floats(0, 1), st.booleans())
@settings(deadline=None, max_examples=60)
def test_the_true_accept_rate_is_the_best_that_any_threshold_reaches(seed: int, rate: float, coarse: bool) -> None:
    pairs = scores(seed, coarse)
    same, different = pairs.distance[pairs.same], pairs.distance[~pairs.same]
    best = max(
        float((same <= threshold).mean())
        for threshold in [-1.0, *pairs.distance]
        if (different <= threshold).mean() <= rate
    )
    assert true_accept_rate(pairs, rate) == best
    point = calibrate(pairs, rate) if rate > 0 else None
    if point is not None and rate < 1:
        assert true_accept_rate(pairs, rate) == (same <= point.threshold).mean(), "that of the threshold it is about"


@pytest.mark.parametrize(
    ("distance", "second"),
    [([1.0, 2.0], [0, 0]), ([1.0, 2.0], [1, 1]), ([np.nan, 1.0], [0, 1])],
    ids=["only same", "only different", "nan"],
)
def test_without_both_kinds_of_pairs_there_is_no_curve(distance: list[float], second: list[int]) -> None:
    pairs = ScoredPairs(np.array(distance), np.zeros(2, np.int64), np.array(second))
    for figure in (roc_curve, roc_auc, equal_error_rate, lambda some: true_accept_rate(some, 0.1)):
        with pytest.raises(ValueError, match="needs same and different pairs"):
            figure(pairs)


def folds_of(individuals: list[int], rng: np.random.Generator) -> list[list[int]]:
    if len(individuals) <= 12:
        return [list(two) for two in combinations(individuals, 2)]
    return [part.tolist() for part in np.array_split(rng.permutation(individuals), 5)]


def verdicts(pairs: ScoredPairs, rate: float, rng: np.random.Generator) -> dict[int, float]:
    """Pair → mean verdict "same" over the folds that hold out both its individuals, by loops."""
    rows = list(zip(pairs.distance, pairs.first, pairs.second, strict=True))
    judged: dict[int, list[bool]] = {}
    for held_out in folds_of(sorted({int(i) for _, *two in rows for i in two}), rng):
        setting = [row for row in rows if row[1] not in held_out and row[2] not in held_out]
        threshold = fitted(ScoredPairs(*(np.array(column) for column in zip(*setting, strict=True))), rate).threshold
        for index, (distance, first, second) in enumerate(rows):
            if first in held_out and second in held_out:
                judged.setdefault(index, []).append(bool(distance <= threshold))
    return {index: sum(votes) / len(votes) for index, votes in judged.items()}


@pytest.mark.parametrize("rate", [0.0, 0.2])
@pytest.mark.parametrize(("individuals", "folds"), [(4, 6), (6, 15), (13, 5)])
def test_cross_fit_judges_only_pairs_of_individuals_that_did_not_set_the_threshold(
    individuals: int, folds: int, rate: float
) -> None:
    pairs = case(3, individuals)
    found = cross_fit(pairs, rate, 0.95, 50, np.random.default_rng(1))
    assert found is not None
    shares = verdicts(pairs, rate, np.random.default_rng(1))
    accepted = [share for index, share in shares.items() if not pairs.same[index]]
    rejected = [1 - share for index, share in shares.items() if pairs.same[index]]
    assert (found.folds, found.same_pairs, found.different_pairs) == (folds, len(rejected), len(accepted))
    assert found.false_accept_rate.value == pytest.approx(np.mean(accepted), abs=1e-12)
    assert found.false_reject_rate.value == pytest.approx(np.mean(rejected), abs=1e-12)
    assert found.accuracy.value == pytest.approx(1 - (np.mean(accepted) + np.mean(rejected)) / 2, abs=1e-12)
    assert 0.01 < found.accuracy.value < 0.99


def test_cross_fit_intervals_resample_whole_individuals() -> None:
    pairs = case(3)
    found = cross_fit(pairs, 0.0, 0.9, 60, np.random.default_rng(1))
    assert found is not None
    shares = verdicts(pairs, 0.0, np.random.default_rng(1))
    individuals = sorted(set(pairs.first) | set(pairs.second))
    rng = np.random.default_rng(1)
    false_accepts, false_rejects = [], []
    for _ in range(60):
        copies = [individuals[i] for i in rng.integers(len(individuals), size=len(individuals))]
        accepted, rejected = [], []
        for index, share in shares.items():
            first, second = copies.count(pairs.first[index]), copies.count(pairs.second[index])
            if pairs.same[index]:
                rejected += [1 - share] * first
            else:
                accepted += [share] * (first * second)
        false_accepts.append(np.mean(accepted))
        false_rejects.append(np.mean(rejected))
    np.testing.assert_allclose(found.false_accept_rate[1:], np.quantile(false_accepts, [0.05, 0.95]), atol=1e-12)
    np.testing.assert_allclose(found.false_reject_rate[1:], np.quantile(false_rejects, [0.05, 0.95]), atol=1e-12)
    accuracies = 1 - (np.array(false_accepts) + np.array(false_rejects)) / 2
    np.testing.assert_allclose(found.accuracy[1:], np.quantile(accuracies, [0.05, 0.95]), atol=1e-12)


@pytest.mark.parametrize("individuals", [2, 3])
def test_fewer_than_four_individuals_cannot_be_cross_fitted(individuals: int) -> None:
    assert cross_fit(case(0, individuals), 0.0, 0.95, 10, np.random.default_rng(0)) is None
    assert cross_fit(case(0, 4), 0.0, 0.95, 10, np.random.default_rng(0)) is not None


def test_constant_distances_cannot_be_cross_fitted() -> None:
    pairs = case(0)
    constant = ScoredPairs(np.full_like(pairs.distance, 0.7), pairs.first, pairs.second)
    assert cross_fit(constant, 0.0, 0.95, 10, np.random.default_rng(0)) is None


def test_many_individuals_are_held_out_in_groups() -> None:
    assert calibration.MAX_PAIRED_FOLDS == 12
    found = cross_fit(case(0, 30, 2), 0.0, 0.95, 10, np.random.default_rng(0))
    assert found is not None
    assert (found.folds, found.same_pairs, found.different_pairs) == (5, 30, 5 * 15 * 4)


def test_no_threshold_where_the_curve_crosses_a_half_at_no_distance_that_occurs() -> None:
    """Two same pairs at the two ends of many different ones: the slope is hardly above 0."""
    different = np.linspace(0.5, 0.6, 60)
    distance = np.concatenate([[0.1, 0.97], different])
    first = np.concatenate([[0, 1], np.full(60, 0)])
    second = np.concatenate([[0, 1], np.full(60, 1)])
    pairs = ScoredPairs(distance, first, second)
    found = calibrate(pairs)
    assert found is None or distance.min() <= found.threshold <= distance.max()
    rng = np.random.default_rng(0)
    thresholds = []
    for _ in range(200):
        labels = np.repeat(np.arange(4), 4)
        points = 2.5 * rng.normal(size=(16, 3)) + 0.5 * rng.normal(size=(4, 3))[labels]
        several = pairs_of(torch.from_numpy(points), labels, Euclidean(), rng)
        fit = calibrate(several)
        if fit is not None:
            thresholds.append((several.distance.min(), fit.threshold, several.distance.max()))
    assert len(thresholds) > 50
    assert all(low <= threshold <= high for low, threshold, high in thresholds)
