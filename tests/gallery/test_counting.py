"""The number of individuals from answered pairs: formulas by loops, and simulations with known individuals."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student

from siamesekit.gallery.counting import ANY, FEWEST, PARTNERS, CountEstimate, Draw, _student, draws, estimate


def photos(separation: float, individuals: int = 30, count: int = 200) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Individuals of uneven sizes, `[N]`, and calibrated probabilities of "same", `[N, N]`, of drawn embeddings."""
    rng = np.random.default_rng(1)
    weights = rng.gamma(1, 1, individuals)
    drawn = rng.choice(individuals, count - individuals, p=weights / weights.sum())
    labels = np.concatenate([np.arange(individuals), drawn])
    points = rng.normal(size=(individuals, 16))[labels] * separation + rng.normal(size=(count, 16))
    squared = ((points[:, None] - points[None]) ** 2).sum(-1)
    same = labels[:, None] == labels[None]
    # two photos of one individual differ by a normal vector of variance 2, two of others by one of 2 + 2 · separation²
    near, far = 2.0, 2 + 2 * separation**2
    log_odds = 8 * np.log(far / near) - squared * (1 / near - 1 / far) / 2
    share = (same.sum() - count) / (count * (count - 1))
    found = 1 / (1 + np.exp(-log_odds.clip(-50, 50)) * (1 - share) / share)
    np.fill_diagonal(found, 0)
    return labels, found.astype(np.float32)


def simulated(separation: float, number: int, times: int) -> tuple[int, list[CountEstimate]]:
    labels, chances = photos(separation)
    found = []
    for seed in range(times):
        each = estimate(
            list(islice(draws(chances, seed=seed), number)), lambda a, b: bool(labels[a] == labels[b]), len(labels)
        )
        assert each is not None
        found.append(each)
    return len(np.unique(labels)), found


@pytest.mark.parametrize(("separation", "bias"), [(3.0, 0.01), (2.0, 0.03)])
def test_the_estimate_is_unbiased_and_its_interval_covers(separation: float, bias: float) -> None:
    individuals, found = simulated(separation, number=40, times=64)
    values = np.array([each.value for each in found])
    error = values.std() / 8
    assert abs(values.mean() - individuals) <= bias * individuals + 3 * error
    covered = sum(each.low <= individuals <= each.high for each in found)
    assert covered >= 56  # of a 95 % interval
    assert np.mean([each.high - each.low for each in found]) < 0.6 * individuals  # and it says something


def test_a_weak_model_needs_more_answers_but_the_interval_covers() -> None:
    individuals, found = simulated(1.0, number=40, times=60)
    values = np.array([each.value for each in found])
    assert 0.8 * individuals < values.mean() < 1.3 * individuals
    assert sum(each.low <= individuals <= each.high for each in found) >= 48


def test_more_draws_narrow_the_interval() -> None:
    _, few = simulated(2.0, number=10, times=10)
    _, many = simulated(2.0, number=160, times=10)
    widths = [np.mean([each.high - each.low for each in found]) for found in (few, many)]
    assert widths[1] < widths[0] / 2
    assert many[0].draws == 160 and many[0].pairs < 160 * PARTNERS[1]


def test_a_draw_has_the_chances_that_the_module_states() -> None:
    _, chances = photos(2.0)
    outer = 1 / (1 + chances.astype(np.float64).sum(1))
    outer /= outer.sum()
    for draw in islice(draws(chances), 20):
        assert draw.chance == pytest.approx(outer[draw.photo])
        likely = chances[draw.photo].astype(np.float64)
        inner = (1 - ANY) * likely / likely.sum() + ANY / (len(chances) - 1)
        np.testing.assert_allclose(draw.chances, inner[draw.partners] / np.delete(inner, draw.photo).sum(), rtol=1e-6)
        assert draw.photo not in draw.partners and PARTNERS[0] <= len(draw.partners) <= PARTNERS[1]


def test_odds_are_corrected_before_the_draws() -> None:
    _, chances = photos(2.0)
    corrected = 0.1 * chances / (0.1 * chances + 1 - chances)
    for found, expected in zip(islice(draws(chances, 0.1), 9), islice(draws(corrected), 9), strict=True):
        assert found.photo == expected.photo and found.chance == pytest.approx(expected.chance, rel=1e-5)
        np.testing.assert_array_equal(found.partners, expected.partners)


@pytest.mark.medium
def test_photos_are_drawn_with_their_chances() -> None:
    _, chances = photos(2.0, individuals=4, count=12)
    found = [draw for seed in range(6) for draw in draws(chances, seed=seed)]
    frequency = np.bincount([draw.photo for draw in found], minlength=12) / len(found)
    expected = {draw.photo: draw.chance for draw in found}
    np.testing.assert_allclose(frequency, [expected[photo] for photo in range(12)], atol=0.02)


def test_the_first_draws_are_the_same_however_many_are_taken() -> None:
    _, chances = photos(2.0)
    few, many = list(islice(draws(chances), 3)), list(islice(draws(chances), 9))
    assert [(each.photo, each.partners.tolist()) for each in few] == [
        (each.photo, each.partners.tolist()) for each in many[:3]
    ]


def test_the_estimate_is_the_jackknife_of_the_formula() -> None:
    found = [
        Draw(0, 0.5, np.array([1, 2, 1]), np.array([0.5, 0.25, 0.5])),
        Draw(3, 0.1, np.array([1, 2, 0]), np.array([0.2, 0.3, 0.5])),
    ] * 3

    def same(a: int, b: int) -> bool:
        return (a, b) in ((0, 1), (3, 0))

    terms = []
    for draw in found:
        weights = [same(draw.photo, j) / r for j, r in zip(draw.partners, draw.chances, strict=True)]
        whole = 1 / (1 + sum(weights) / 3)
        left = [1 / (1 + (sum(weights) - each) / 2) for each in weights]
        terms.append((3 * whole - 2 * sum(left) / 3) / draw.chance)
    value = sum(terms) / 6
    result = estimate(found, same, most=10**6)
    assert result is not None and result.value == pytest.approx(value) and (result.draws, result.pairs) == (6, 5)
    variance = np.mean([(each - value) ** 2 for each in terms] + [0.0]) + (value**2 + (value / 2) ** 2) / 7
    assert result.high == pytest.approx(value + student.ppf(0.975, 5) * np.sqrt(variance / 6), rel=2e-3)
    bounded = estimate(found, same, most=3)
    assert bounded is not None and bounded.high == 3


def test_few_draws_give_no_estimate() -> None:
    _, chances = photos(2.0)
    assert estimate(list(islice(draws(chances), FEWEST - 1)), lambda a, b: False, 200) is None


@pytest.mark.parametrize("freedom", [4, 9, 30, 200])
def test_the_quantile_is_that_of_student(freedom: int) -> None:
    assert _student(0.95, freedom) == pytest.approx(student.ppf(0.975, freedom), rel=0.004)


def test_photos_that_are_like_no_other_are_drawn_too() -> None:
    (draw, *_) = list(islice(draws(np.zeros((30, 30), np.float32)), 5))
    assert draw.chance == pytest.approx(1 / 30)
    np.testing.assert_allclose(draw.chances, 1 / 29)
