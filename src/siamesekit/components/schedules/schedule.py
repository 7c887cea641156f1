"""The protocol `Schedule` of schedule components."""

from __future__ import annotations

from typing import Protocol


class Schedule(Protocol):
    """The factor of each learning rate at a step. It is a pure function, so a resumed run continues exactly.

    A schedule may have these runtime values in its signature: `steps`, the number of steps of the whole run, at least
    1; `steps_per_epoch`; `lr`, the learning rate of the optimizer, for schedules with absolute learning rates.

    A schedule with `steps` depends on the length of the run, so a trained run cannot be resumed with another
    `train.epochs`. A schedule that takes `steps` without depending on it declares `spans_the_run = False`.
    """

    def __call__(self, step: int) -> float:
        """The factor at a step, counted from 0 over the whole run, at least 0."""
        ...


Schedule.__module__ = "siamesekit"
