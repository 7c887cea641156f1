"""Bootstrap intervals against plain resampling of whole individuals."""

import numpy as np
import pytest

from siamesekit.evaluation.intervals import interval, mean_with_interval


def test_the_mean_is_of_the_values_that_are_there() -> None:
    values, owners = np.array([1.0, np.nan, 0.0, 4.0]), np.array([5, 5, 7, 9])
    found = mean_with_interval(values, owners, 0.95, 100, np.random.default_rng(0))
    assert found.value == pytest.approx(5 / 3, abs=1e-12)


def test_whole_individuals_are_resampled() -> None:
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(6), [1, 5, 2, 9, 3, 4])
    values = rng.normal(size=len(owners))
    found = mean_with_interval(values, owners, 0.9, 200, np.random.default_rng(1))
    drawn = np.random.default_rng(1).integers(6, size=(200, 6))
    means = [np.concatenate([values[owners == i] for i in draw]).mean() for draw in drawn]
    np.testing.assert_allclose(found[1:], np.quantile(means, [0.05, 0.95]), atol=1e-12)


def test_values_that_agree_within_individuals_count_as_one_value_each() -> None:
    means = np.random.default_rng(0).normal(size=12)
    one_each = mean_with_interval(means, np.arange(12), 0.95, 500, np.random.default_rng(2))
    ten_each = mean_with_interval(
        np.repeat(means, 10), np.repeat(np.arange(12), 10), 0.95, 500, np.random.default_rng(2)
    )
    np.testing.assert_allclose(ten_each, one_each, atol=1e-12)


def test_a_seed_gives_one_interval_and_another_seed_another() -> None:
    values = np.random.default_rng(0).normal(size=30)

    def found(seed: int) -> tuple[float, float | None, float | None]:
        return mean_with_interval(values, np.arange(30), 0.95, 200, np.random.default_rng(seed))

    assert found(3) == found(3)
    assert found(3) != found(4)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        effects = rng.normal(size=40)
        owners = np.repeat(np.arange(40), 3)
        found = mean_with_interval(effects[owners] + rng.normal(size=120), owners, 0.9, 300, rng)
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.value <= found.high
        covered += found.low <= 0 <= found.high
    assert 0.84 < covered / 300 < 0.95  # over photos in place of individuals it would be 0.76


def test_one_individual_has_no_interval() -> None:
    assert mean_with_interval(np.array([1.0, 0.0]), np.array([4, 4]), 0.95, 10, np.random.default_rng(0)) == (
        0.5,
        None,
        None,
    )


def test_no_value_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="no value"):
        mean_with_interval(np.array([np.nan]), np.array([0]), 0.95, 10, np.random.default_rng(0))


def test_interval_quantiles_leave_nan_out() -> None:
    found = interval(1.0, lambda: np.array([np.nan, *range(101)]), 5, 0.9)
    assert found == pytest.approx((1.0, 5.0, 95.0), abs=1e-9)
