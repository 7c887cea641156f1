"""Schedule `warmup-linear` against its closed form."""

import pytest

from siamesekit.components.schedules.warmup_linear import WarmupLinearSchedule


def test_rises_and_falls_by_the_closed_form() -> None:
    factor = WarmupLinearSchedule(0.5, 0.2, steps=8)
    expected = [0.2, 0.4, 0.6, 0.8, 1.0, 0.8, 0.6, 0.4, 0.2, 0.2]
    assert [factor(step) for step in range(10)] == pytest.approx(expected, abs=1e-12)


def test_a_final_factor_of_one_is_the_warm_up_alone() -> None:
    factor = WarmupLinearSchedule(0.25, 1.0, steps=12)
    assert [factor(step) for step in range(12)] == pytest.approx([0.25, 0.5, 0.75, *[1.0] * 9])
