"""The promised rate of new individuals that are called known, measured on individuals that are not enrolled."""

from __future__ import annotations

import numpy as np
import pytest
from open_world import NEW, PROMISED, rates

STUDENT = {5: 2.78, 10: 2.26, 40: 2.02}
"""97.5 % quantiles of Student's t for the mean over so many catalogues."""


def check(kind: str, size: int, draws: int, searched: int | None = None) -> None:
    """The 95 % interval of the measured rate meets the promise: at most the rate, and not below rate − 2/(n + 1)."""
    found = rates(kind, size, draws, searched)
    for rate, column in zip(PROMISED, found.T, strict=True):
        if size < 1 / rate - 1:
            assert np.isnan(column).all(), "too few individuals to promise this"
            continue
        mean, error = column.mean(), column.std(ddof=1) / np.sqrt(draws)
        doubt = STUDENT[draws] * error
        judged = min(size, 300)  # at most so many individuals are searched for a fit
        assert mean - doubt <= rate, (kind, size, rate, mean, doubt)
        assert mean + doubt >= rate - 2 / (judged + 1), (kind, size, rate, mean, doubt)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "draws"), [(20, 40), (200, 10), (2000, 5)])
def test_false_known_ones_are_as_many_as_promised(size: int, draws: int) -> None:
    assert NEW == 200
    check("made", size, draws)


@pytest.mark.slow
@pytest.mark.parametrize("searched", [20, 200])
def test_the_promise_holds_where_a_condition_chooses_some_individuals(searched: int) -> None:
    check("made", 600, 5, searched)


@pytest.mark.parametrize(
    ("size", "draws"),
    [
        pytest.param(20, 40, marks=pytest.mark.slow),
        pytest.param(200, 10, marks=pytest.mark.huge),
        pytest.param(2000, 5, marks=[pytest.mark.huge, pytest.mark.timeout(1800)]),
    ],
)
def test_false_known_ones_among_drawn_flukes_are_as_many_as_promised(size: int, draws: int) -> None:
    """The drawn individuals are the same in all catalogues, dealt anew, so the interval is a little too narrow."""
    check("drawn", size, draws)
