"""Schedule `warmup-linear`."""

from __future__ import annotations

from siamesekit.components.schedules.warmup import warmed_up
from siamesekit.options import Count, Fraction
from siamesekit.registry import SCHEDULES


@SCHEDULES.register("warmup-linear")
class WarmupLinearSchedule:
    """Linear warm-up, then linear decay over the remaining steps.

    Step → factor from 0 to 1: 1 − (1 − final) · x, x going from 0 to 1 after the warm-up. The schedule depends on the
    length of the run, so a trained run cannot be resumed with another `train.epochs`.

    Args:
        warmup: share of the run's steps that warm up.
        final: factor at the end of the run; 1 for the warm-up alone.
        steps: supplied by the run.
    """

    __module__ = "siamesekit"

    def __init__(self, warmup: Fraction = 0.05, final: Fraction = 0.0, *, steps: Count) -> None:
        self.warmup = warmup
        self.final = final
        self.steps = steps

    def __call__(self, step: int) -> float:
        """The factor at a step, counted from 0."""
        rise, x = warmed_up(step, self.steps, self.warmup)
        return rise * (1 - (1 - self.final) * x)
