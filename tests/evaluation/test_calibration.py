"""Calibration against independent optimisers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from scored_pairs import case, fitted
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.evaluation.calibration import Calibration, calibrate
from siamesekit.evaluation.pairs import ScoredPairs, pairs_of

Floats = NDArray[np.float64]


def soft_targets(pairs: ScoredPairs) -> tuple[Floats, Floats]:
    """Platt's targets for the fewer of the two kinds, and weights under which both count equally."""
    positives, negatives = sum(pairs.same), sum(~pairs.same)
    fewer = min(positives, negatives)
    target = [(fewer + 1) / (fewer + 2) if same else 1 / (fewer + 2) for same in pairs.same]
    weight = [0.5 / positives if same else 0.5 / negatives for same in pairs.same]
    return np.array(target), np.array(weight)


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
    [
        ([1.0, 2.0], [0, 0]),
        ([1.0, 2.0], [1, 1]),
        ([3.0, 1.0, 2.0, 0.5], [0, 1, 0, 1]),
        ([np.nan, 1.0], [0, 1]),
        ([np.inf, 1.0], [0, 1]),
    ],
    ids=["only same", "only different", "the wrong way", "nan", "infinite"],
)
def test_where_there_is_nothing_to_fit_there_is_no_calibration(distance: list[float], second: list[int]) -> None:
    assert calibrate(ScoredPairs(np.array(distance), np.zeros(len(second), np.int64), np.array(second))) is None


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
