"""Schedule `step`."""

from __future__ import annotations

from siamesekit.options import Count, OpenFraction
from siamesekit.registry import SCHEDULES


@SCHEDULES.register("step")
class StepSchedule:
    """A drop at regular intervals: step → factor gammaⁿ, from 0 to 1, n being the number of drops so far.

    Args:
        every: number of epochs between two drops.
        gamma: factor of the learning rate per drop.
        steps_per_epoch: supplied by the run.
    """

    __module__ = "siamesekit"

    def __init__(self, every: Count = 20, gamma: OpenFraction = 0.1, *, steps_per_epoch: Count) -> None:
        self.every = every
        self.gamma = gamma
        self.steps_per_epoch = steps_per_epoch

    def __call__(self, step: int) -> float:
        """The factor at a step, counted from 0."""
        factor: float = self.gamma ** (step // (self.every * self.steps_per_epoch))
        return factor
