"""Schedule `step` against counting the drops."""

import pytest

from siamesekit.components.schedules.step import StepSchedule


def test_drops_after_every_so_many_epochs() -> None:
    factor = StepSchedule(every=2, gamma=0.5, steps_per_epoch=3)
    expected, now = [], 1.0
    for epoch in range(7):
        if epoch > 0 and epoch % 2 == 0:
            now *= 0.5
        expected += [now] * 3
    assert [factor(step) for step in range(21)] == pytest.approx(expected, rel=1e-12)
    assert len(set(expected)) == 4
