"""Schedule `warmup-cosine` against its closed form."""

import math

import pytest

from siamesekit.components.schedules.warmup_cosine import WarmupCosineSchedule


def test_rises_and_falls_by_the_closed_form() -> None:
    factor = WarmupCosineSchedule(0.2, 0.1, steps=20)
    assert [factor(step) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    for step in range(4, 20):
        assert factor(step) == pytest.approx(0.1 + 0.9 * math.cos((step - 4) / 16 * math.pi / 2) ** 2, abs=1e-12)
    assert (factor(4), factor(12)) == (1.0, pytest.approx(0.55))
    assert factor(20) == factor(500) == pytest.approx(0.1)


def test_the_order_in_which_steps_are_asked_changes_nothing() -> None:
    factor = WarmupCosineSchedule(steps=50)
    forwards = [factor(step) for step in range(50)]
    assert [factor(step) for step in reversed(range(50))] == forwards[::-1]
    assert min(forwards) > 0
