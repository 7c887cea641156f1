"""Schedule `exponential`."""

from __future__ import annotations

from siamesekit.options import Count, OpenFraction
from siamesekit.registry import SCHEDULES


@SCHEDULES.register("exponential")
class ExponentialSchedule:
    """Exponential decay in every step: step → factor gamma^(step / steps per epoch), from 0 to 1.

    Args:
        gamma: factor of the learning rate per epoch.
        steps_per_epoch: supplied by the run.
    """

    __module__ = "siamesekit"

    def __init__(self, gamma: OpenFraction = 0.95, *, steps_per_epoch: Count) -> None:
        self.gamma = gamma
        self.steps_per_epoch = steps_per_epoch

    def __call__(self, step: int) -> float:
        """The factor at a step, counted from 0."""
        factor: float = self.gamma ** (step / self.steps_per_epoch)
        return factor
