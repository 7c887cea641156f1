"""Schedule `warmup-cosine`."""

from __future__ import annotations

import math

from siamesekit.components.schedules.warmup import warmed_up
from siamesekit.options import Count, Fraction
from siamesekit.registry import SCHEDULES


@SCHEDULES.register("warmup-cosine")
class WarmupCosineSchedule:
    """Linear warm-up, then cosine decay over the remaining steps.

    Step → factor from 0 to 1: final + (1 − final) · (1 + cos πx) / 2, x going from 0 to 1 after the warm-up.
    Loshchilov and Hutter 2017 (arXiv:1608.03983), equation 5, without restarts. The schedule depends on the length of
    the run, so a trained run cannot be resumed with another `train.epochs`.

    Args:
        warmup: share of the run's steps that warm up.
        final: factor at the end of the run.
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
        return rise * (self.final + (1 - self.final) * (1 + math.cos(math.pi * x)) / 2)
