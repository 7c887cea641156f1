"""Optimization: clipping, learning rates, optimizers and average of the weights, once a step has its gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from siamesekit.components.schedules.schedule import Schedule
from siamesekit.engine.faults import failing_as
from siamesekit.engine.weight_average import WeightAverage


class Optimization:
    """Moves the weights of the encoder and the loss by their gradients.

    Args:
        optimizer: optimizer of the encoder's trained parameters.
        of_loss: optimizer of the loss's own parameters; None if the loss has none.
        schedule: factor of both optimizers' learning rates at each step.
        clip_norm: largest norm of the gradients of encoder and loss together; 0 disables clipping.
        average: average of the weights, updated after each step.
        rates: factors of the learning rates of `optimizer`'s groups.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        of_loss: torch.optim.Optimizer | None = None,
        schedule: Schedule | None = None,
        clip_norm: float = 0.0,
        average: WeightAverage | None = None,
        rates: list[float] | None = None,
    ) -> None:
        self.optimizer = optimizer
        self.optimizers = [optimizer] if of_loss is None else [optimizer, of_loss]
        self.schedule = schedule
        self.clip_norm = clip_norm
        self.average = average
        for group, rate in zip(optimizer.param_groups, rates or [], strict=bool(rates)):
            group["lr"] *= rate
        self.initial = [[float(group["lr"]) for group in each.param_groups] for each in self.optimizers]

    @property
    def lr(self) -> float:
        """The current learning rate of the head: the highest of the encoder's groups."""
        return max(float(group["lr"]) for group in self.optimizer.param_groups)

    def zero_grad(self) -> None:
        """Clear all gradients."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def gradient_norm(self) -> Tensor:
        """The global norm of the encoder's gradient, scalar, before clipping."""
        return torch.nn.utils.get_total_norm(_gradients(self.optimizer))

    def step(self, number: int) -> None:
        """Move the weights by the gradients.

        Args:
            number: number of the batch, from 0 over the whole run.
        """
        if self.clip_norm > 0:
            parameters = [p for each in self.optimizers for group in each.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.clip_norm)
        if self.schedule is not None:
            with failing_as("schedule"):
                factor = self.schedule(number)
            for optimizer, initial in zip(self.optimizers, self.initial, strict=True):
                for group, lr in zip(optimizer.param_groups, initial, strict=True):
                    group["lr"] = lr * factor
        with failing_as("optimizer"):
            for optimizer in self.optimizers:
                optimizer.step()
        if self.average is not None:
            self.average.update()

    def state_dict(self) -> dict[str, Any]:
        """The state of the optimizers and the average; a schedule has no state."""
        average = None if self.average is None else self.average.state_dict()
        return {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers], "average": average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        if self.average is not None:
            self.average.load_state_dict(state["average"])


def _gradients(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
