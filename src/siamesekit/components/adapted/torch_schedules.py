"""Schedules `torch/*`: the schedulers of PyTorch, as functions of the step."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import nn

from siamesekit.errors import ComponentError
from siamesekit.registry import SCHEDULES
from siamesekit.registry.adapted.torch_optim import class_of
from siamesekit.registry.construction import member_repr


class TorchSchedule:
    """A scheduler of PyTorch, run on a separate parameter. The factor is its learning rate relative to `lr`.

    Args:
        scheduler: class in `torch.optim.lr_scheduler`.
        options: options of the scheduler.
        lr: learning rate of the optimizer, for schedulers with absolute learning rates.
        steps_per_unit: number of training steps per step of the scheduler.
        spans_the_run: whether an option is the number of steps or epochs of the whole run.
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
                raise ComponentError(
                    f"schedule {name} of PyTorch is invalid at its step {len(self.factors)}: the factor is {what}, "
                    "but must be finite and at least 0; change the options"
                )
            self.factors.append(factor)
        return self.factors[unit]

    def _factor(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"]) / self.lr


@SCHEDULES.register("torch/*", members="siamesekit.registry.adapted.torch_optim:schedules")
def torch_schedule(
    *, model: str, options: dict[str, Any], steps: int, steps_per_epoch: int, lr: float
) -> TorchSchedule:
    """The schedulers of PyTorch by name: step → factor of the learning rate, at least 0.

    Their options count epochs with `every = "epoch"`, and steps with `every = "step"`. `T_max` of `cosine-annealing`
    and `total_steps` of `one-cycle` default to the whole run. Momentum does not change.
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
        raise ComponentError(
            f"schedule 'torch/one-cycle': total_steps = {given['total_steps']} is less than the run's {units} {every}s"
        )
    if model in ("one-cycle", "cyclic"):
        given["cycle_momentum"] = False
    try:
        return TorchSchedule(class_of("LRScheduler", model), given, lr, per_unit, spans_the_run)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise ComponentError(f"schedule 'torch/{model}' refuses these options: {error}") from error
