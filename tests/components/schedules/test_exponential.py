"""Schedule `exponential` against multiplying step by step."""

import pytest

from siamesekit.components.schedules.exponential import ExponentialSchedule


def test_each_step_leaves_the_same_share_and_an_epoch_gamma() -> None:
    factor = ExponentialSchedule(gamma=0.9, steps_per_epoch=4)
    now = 1.0
    for step in range(40):
        assert factor(step) == pytest.approx(now, rel=1e-12)
        now *= 0.9**0.25
    assert factor(4 * 7) == pytest.approx(0.9**7, rel=1e-12)
