"""The warm-up against its definition, step by step."""

import pytest

from siamesekit.components.schedules.warmup import warmed_up


@pytest.mark.parametrize(
    ("steps", "share", "warm"), [(10, 0.3, 3), (10, 0.0, 0), (7, 0.5, 4), (5, 1.0, 5), (1, 0.4, 0)]
)
def test_rises_in_equal_steps_and_then_tells_what_is_left(steps: int, share: float, warm: int) -> None:
    for step in range(steps):
        rise, x = warmed_up(step, steps, share)
        if step < warm:
            assert (rise, x) == (pytest.approx((step + 1) / (warm + 1)), 0.0)
        else:
            assert (rise, x) == (1.0, pytest.approx((step - warm) / (steps - warm)))
    assert warmed_up(10 * steps, steps, share) == (1.0, 1.0)
