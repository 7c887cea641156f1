"""What every schedule component is."""

from __future__ import annotations

from typing import Protocol


class Schedule(Protocol):
    """By which factor each learning rate is multiplied at a step: a pure function, so a resumed run goes on exactly.

    Runtime values that a schedule may name in its signature: `steps`, of the whole run, at least 1; `steps_per_epoch`;
    `lr`, the optimizer's learning rate, for those that are given absolute ones.

    A schedule that names `steps` depends on the length of the run: a run that has trained is not resumed with another
    `train.epochs`. One that names it and does not depend on it says so by an attribute `spans_the_run = False`.
    """

    def __call__(self, step: int) -> float:
        """The factor at a step, counted from 0 over the whole run, at least 0."""
        ...
