"""Schedule `step`."""

from __future__ import annotations

from siamesekit.options import Count, OpenFraction
from siamesekit.registry import SCHEDULES


@SCHEDULES.register("step")
class StepSchedule:
    """A drop after every so many epochs: step → factor gammaⁿ from 0 to 1, n being the drops so far.

    Args:
        every: epochs between two drops.
        gamma: what a drop leaves.
        steps_per_epoch: supplied by the run.
    """

    def __init__(self, every: Count = 20, gamma: OpenFraction = 0.1, *, steps_per_epoch: Count) -> None:
        self.every = every
        self.gamma = gamma
        self.steps_per_epoch = steps_per_epoch

    def __call__(self, step: int) -> float:
        """The factor at a step, counted from 0."""
        factor: float = self.gamma ** (step // (self.every * self.steps_per_epoch))
        return factor
