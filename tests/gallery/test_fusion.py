"""The weight of shared points, against a search on a grid and against the weights that made the data."""

import numpy as np
import pytest
from numpy.typing import NDArray

from siamesekit.gallery.fusion import LAPSE, RIDGE, Fusion, fit_fusion

SLOPE, GAIN, CHANCE, LOST = 3.0, 1.5, 1.2, 0.2
Drawn = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def drawn(queries: int, seed: int, gain: float = GAIN) -> Drawn:
    """Queries whose own individual is chosen among 12 by the model of the module."""
    rng = np.random.default_rng(seed)
    distances = np.sort(rng.gamma(4, 0.3, (queries, 12)))
    points = rng.poisson(np.exp(rng.normal(CHANCE, 0.7, (queries, 12))))
    score = -SLOPE * distances + gain * np.log1p(points)
    chance = np.exp(score - score.max(1, keepdims=True))
    own = np.array([rng.choice(12, p=(1 - LOST) * row / row.sum() + LOST / 12) for row in chance])
    return distances, points, own, np.arange(queries) % 50


@pytest.mark.medium
def test_it_finds_the_weights_that_made_the_data() -> None:
    fitted = fit_fusion(*drawn(20_000, 0))
    assert fitted is not None
    assert fitted.weight == pytest.approx(GAIN / SLOPE, rel=0.03)
    flat = fit_fusion(*drawn(20_000, 1, gain=0.0))
    assert flat is not None and flat.weight == pytest.approx(0, abs=0.02)
    against = fit_fusion(*drawn(5_000, 2, gain=-1.0))
    assert against is not None and against.weight == 0


@pytest.mark.slow
def test_it_is_the_best_on_a_grid() -> None:
    """By the likelihood written out in loops, each individual with the same weight."""
    distances, points, own, individual = drawn(60, 3)
    individual = np.minimum(individual, 7)
    counts = np.bincount(individual)
    scale = distances.std(), np.log1p(points).std()

    def cost(slope: float, gain: float, odds: float) -> float:
        total = RIDGE * (np.log(slope * scale[0]) ** 2 + (gain * scale[1]) ** 2 + (odds - LAPSE) ** 2)
        lost = 1 / (1 + np.exp(-odds))
        for far, shared, mine, who in zip(distances, points, own, individual, strict=True):
            score = np.exp([-slope * d + gain * np.log(1 + m) for d, m in zip(far, shared, strict=True)])
            total -= np.log((1 - lost) * score[mine] / score.sum() + lost / 12) / counts[who] / len(counts)
        return float(total)

    fitted = fit_fusion(distances, points, own, individual)
    assert fitted is not None
    places = [(slope, odds) for slope in np.linspace(0.5, 8, 31) for odds in np.linspace(-5, 0, 11)]
    best = min(cost(slope, fitted.weight * slope, odds) for slope, odds in places)
    for weight in fitted.weight * np.array([0.7, 0.9, 1.1, 1.4]):
        assert best < min(cost(slope, weight * slope, odds) for slope, odds in places)


def test_what_was_not_looked_at_stays() -> None:
    fusion = Fusion(0.5, np.log(4))
    moved = fusion.fused(np.array([[1.0, 1.0, 1.0, 1.0]]), np.array([[-1, 3, 0, 15]]))
    np.testing.assert_allclose(moved[0], [1, 1, 1 + 0.5 * np.log(4), 1 - 0.5 * np.log(4)])


def test_chance_is_the_mean_over_strangers() -> None:
    distances, points, own, individual = drawn(100, 4)
    fitted = fit_fusion(distances, points, own, individual)
    assert fitted is not None
    strange = np.ones_like(points, bool)
    strange[np.arange(100), own] = False
    assert fitted.chance == pytest.approx(np.log1p(points[strange]).mean())


def test_too_little_gives_none() -> None:
    distances, points, own, individual = drawn(40, 5)
    assert fit_fusion(distances, points, np.full(40, -1), individual) is None
    assert fit_fusion(distances, points, own, np.zeros(40, np.int64)) is None
    assert fit_fusion(distances, np.full_like(points, -1), own, individual) is None
    assert fit_fusion(np.ones_like(distances), points, own, individual) is None
    none = fit_fusion(distances, np.zeros_like(points), own, individual)
    assert none is not None and none.weight == 0


def test_candidates_that_are_missing_or_unreadable_count_for_nothing() -> None:
    distances, points, own, individual = drawn(200, 6)
    wider = np.column_stack([distances, np.full(200, np.inf)]), np.column_stack([points, np.full(200, -1)])
    first, second = fit_fusion(distances, points, own, individual), fit_fusion(*wider, own, individual)
    assert first is not None and second is not None
    assert second.weight == pytest.approx(first.weight, rel=1e-6) and second.chance == first.chance
    points[::2, 0] = -1  # half of the queries have a photo that cannot be read
    partly, half = fit_fusion(distances, points, own, individual), slice(1, None, 2)
    expected = fit_fusion(distances[half], points[half], own[half], individual[half])
    assert partly is not None and expected is not None
    assert partly.weight == pytest.approx(expected.weight, rel=1e-6)


def test_right_answers_everywhere_stay_finite() -> None:
    distances = np.tile([0.1, 5.0, 6.0], (30, 1))
    points = np.tile([40, 1, 0], (30, 1))
    fitted = fit_fusion(distances, points, np.zeros(30, np.int64), np.arange(30))
    assert fitted is not None and np.isfinite(fitted.weight)
