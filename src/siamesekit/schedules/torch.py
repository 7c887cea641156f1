"""Schedules `torch/*`: those of PyTorch, as functions of the step."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import nn

from siamesekit.adapted.torch_optim import class_of
from siamesekit.construction import member_repr
from siamesekit.errors import ComponentError
from siamesekit.registry import SCHEDULES


class TorchSchedule:
    """A schedule of PyTorch, run on a parameter of its own; its learning rate over the first one is the factor.

    Args:
        scheduler: class in `torch.optim.lr_scheduler`.
        options: its options.
        lr: the optimizer's learning rate, for schedules that are given absolute ones.
        steps_per_unit: after so many steps of training it makes one of its own.
        spans_the_run: whether any of its options is the number of steps or epochs of the whole run.
    """

    def __init__(
        self, scheduler: str, options: dict[str, Any], lr: float, steps_per_unit: int, spans_the_run: bool = False
    ) -> None:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(()))], lr=lr)
        self.lr = lr
        self.steps_per_unit = steps_per_unit
        self.spans_the_run = spans_the_run
        self.optimizer = optimizer
        self.scheduler = getattr(torch.optim.lr_scheduler, scheduler)(optimizer, **options)
        self.factors = [self._factor()]

    __repr__ = member_repr

    def __call__(self, step: int) -> float:
        """The factor at a step, counted from 0."""
        unit = step // self.steps_per_unit
        while len(self.factors) <= unit:
            self.optimizer.step()
            try:
                self.scheduler.step()
                factor = self._factor()
            except ArithmeticError as error:
                factor, what = math.nan, str(error)
            else:
                what = f"{factor:g}"
            if not 0 <= factor < math.inf:
                name = type(self.scheduler).__name__
                raise ComponentError(f"schedule {name} of PyTorch goes out of bounds at its step {len(self.factors)}: "
                                     f"the factor is {what}; change its options")  # fmt: skip
            self.factors.append(factor)
        return self.factors[unit]

    def _factor(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"]) / self.lr


@SCHEDULES.register("torch/*", members="siamesekit.adapted.torch_optim:schedules")
def torch_schedule(
    *, model: str, options: dict[str, Any], steps: int, steps_per_epoch: int, lr: float
) -> TorchSchedule:
    """PyTorch's schedules by name: step → factor of the learning rate, at least 0.

    With `every = "epoch"` their numbers count epochs, with `"step"` steps. `T_max` of `cosine-annealing` and
    `total_steps` of `one-cycle` are the whole run's by default. Momentum is left alone.
    """
    given = {name: value for name, value in options.items() if value is not None}
    every: Literal["epoch", "step"] = given.pop("every")
    per_unit = 1 if every == "step" else steps_per_epoch
    units = -(-steps // per_unit)
    spanned = {"cosine-annealing": "T_max", "one-cycle": "total_steps"}.get(model)
    spans_the_run = spanned is not None and spanned not in given
    if spanned is not None:
        given.setdefault(spanned, units)
    if model == "one-cycle" and given["total_steps"] < units:
        raise ComponentError(f"schedule 'torch/one-cycle': total_steps = {given['total_steps']} is less than the "
                             f"run's {units} {every}s")  # fmt: skip
    if model in ("one-cycle", "cyclic"):
        given["cycle_momentum"] = False
    try:
        return TorchSchedule(class_of("LRScheduler", model), given, lr, per_unit, spans_the_run)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise ComponentError(f"schedule 'torch/{model}' refuses these options: {error}") from error
