"""The ROC curve and its figures against scikit-learn's and plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from sklearn import metrics

from scored_pairs import case
from siamesekit.evaluation.calibration import calibrate
from siamesekit.evaluation.intervals import Bootstrap, drawn_counts
from siamesekit.evaluation.pairs import ScoredPairs
from siamesekit.evaluation.roc import equal_error_rate, roc_auc, roc_curve, roc_figures, thinned, true_accept_rate
from siamesekit.randomness import generator


def scores(seed: int, coarse: bool) -> ScoredPairs:
    pairs = case(seed, individuals=5)
    return ScoredPairs(pairs.distance.round(1), pairs.first, pairs.second) if coarse else pairs


@pytest.mark.medium
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


def test_intervals_of_area_and_equal_error_rate_resample_whole_individuals() -> None:
    pairs = scores(1, coarse=True)
    found = roc_figures(pairs, Bootstrap(0.9, 30, 7))
    assert found.area.value == roc_auc(pairs)
    assert found.equal_error_rate.value == equal_error_rate(pairs)
    individuals = np.unique(pairs.first)
    areas, errors = [], []
    for counts in drawn_counts(generator(7, "roc"), 5, 30):
        copies = dict(zip(individuals.tolist(), counts.astype(int).tolist(), strict=True))
        rows = [
            (distance, first, second)
            for distance, first, second in zip(pairs.distance, pairs.first, pairs.second, strict=True)
            for _ in range(copies[first] if first == second else copies[first] * copies[second])
        ]
        drawn = ScoredPairs(*(np.array(column) for column in zip(*rows, strict=True)))
        areas.append(roc_auc(drawn))
        errors.append(equal_error_rate(drawn))
    np.testing.assert_allclose(found.area[1:], np.quantile(areas, [0.05, 0.95]), atol=1e-12)
    np.testing.assert_allclose(found.equal_error_rate[1:], np.quantile(errors, [0.05, 0.95]), atol=1e-12)


def test_many_distances_are_rounded_to_levels_within_the_resamples_only() -> None:
    pairs = case(2, individuals=8, photos=6)
    exact = roc_figures(pairs, Bootstrap(0.95, 200, 0))
    assert len(np.unique(pairs.distance)) > 1000
    assert exact.area.value == roc_auc(pairs)
    assert exact.area.low is not None and exact.area.high is not None
    assert exact.area.low < exact.area.value < exact.area.high


def test_a_thinned_curve_keeps_both_ends_and_lies_on_the_curve() -> None:
    curve = roc_curve(case(2, individuals=8, photos=6))
    thin = thinned(curve, 50)
    assert 40 <= len(thin.threshold) <= 50 < len(curve.threshold)
    assert (thin.false_accept_rate[0], thin.true_accept_rate[0]) == (0, 0)
    assert (thin.false_accept_rate[-1], thin.true_accept_rate[-1]) == (1, 1)
    assert set(zip(*(part.tolist() for part in thin), strict=True)) <= set(
        zip(*(part.tolist() for part in curve), strict=True)
    )
    along = thin.false_accept_rate + thin.true_accept_rate
    assert np.diff(along).max() < 3 * 2 / 49
