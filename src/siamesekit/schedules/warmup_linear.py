"""Schedule `warmup-linear`."""

from __future__ import annotations

from siamesekit.options import Count, Fraction
from siamesekit.registry import SCHEDULES
from siamesekit.schedules.warmup import warmed_up


@SCHEDULES.register("warmup-linear")
class WarmupLinearSchedule:
    """A linear rise over the first steps, then a linear fall over all that are left.

    Step → factor from 0 to 1: 1 − (1 − final) · x, x going from 0 to 1 after the warm-up. It depends on the length of
    the run: one that has trained is not resumed with another `train.epochs`.

    Args:
        warmup: share of the run's steps that rise.
        final: factor towards which it falls; 1: the warm-up alone.
        steps: supplied by the run.
    """

    def __init__(self, warmup: Fraction = 0.05, final: Fraction = 0.0, *, steps: Count) -> None:
        self.warmup = warmup
        self.final = final
        self.steps = steps

    def __call__(self, step: int) -> float:
        """The factor at a step, counted from 0."""
        rise, x = warmed_up(step, self.steps, self.warmup)
        return rise * (1 - (1 - self.final) * x)
