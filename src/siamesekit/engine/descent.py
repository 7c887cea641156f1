"""What a step does once the gradients are there: clipping, learning rates, the optimizers, the weights' average."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from siamesekit.engine.averaging import WeightAverage
from siamesekit.engine.faults import failing_as
from siamesekit.schedules.schedule import Schedule


class Descent:
    """Moves all that trains.

    Args:
        optimizer: over what trains of the encoder.
        of_loss: over the loss's own parameters, where it has some.
        schedule: by which both optimizers' learning rates go; their groups' own ones are what it multiplies.
        clip_norm: gradients of encoder and loss together are scaled down to this norm; 0: they are not.
        average: is updated after each step.
        rates: the factor of each of the optimizer's groups' learning rates.
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
        """The learning rate now, of the encoder's group with the highest: the head's."""
        return max(float(group["lr"]) for group in self.optimizer.param_groups)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def gradient_norm(self) -> Tensor:
        """The global norm of the encoder's gradient, scalar, before clipping."""
        return torch.nn.utils.get_total_norm(_gradients(self.optimizer))

    def step(self, number: int) -> None:
        """Move by the gradients.

        Args:
            number: of the batch, counted from 0 over the whole run.
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
        """The state of optimizers and average; the schedule has none."""
        average = None if self.average is None else self.average.state_dict()
        return {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers], "average": average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        if self.average is not None:
            self.average.load_state_dict(state["average"])


def _gradients(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
