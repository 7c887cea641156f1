"""Optimization: the mean gradient of a step's batches, clipping, learning rates, optimizers, average of the weights.

A step takes one batch, or a group of `accumulate` batches of an epoch: it then uses the mean of the batches' gradients,
which is the gradient of the mean of the batches' losses. The last group of an epoch may have fewer batches. A batch
without a loss (the miner found nothing) is not among those that the mean is over; a group of only such batches makes no
step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from siamesekit.components.schedules.schedule import Schedule
from siamesekit.engine.faults import failing_as
from siamesekit.engine.ranks.dealt_average import DealtAverage
from siamesekit.engine.ranks.dealt_optimizer import DealtOptimizer
from siamesekit.engine.weight_average import WeightAverage


class Optimization:
    """Moves the weights of the encoder and the loss by their gradients.

    Args:
        optimizer: optimizer of the encoder's trained parameters.
        of_loss: optimizer of the loss's own parameters, which processes may share; None if the loss has none.
        schedule: factor of both optimizers' learning rates at each step.
        clip_norm: largest norm of the gradients of encoder and loss together; 0 disables clipping.
        average: average of the weights, updated after each step.
        rates: factors of the learning rates of `optimizer`'s groups.
        accumulate: number of batches whose mean gradient makes a step.

    Attributes:
        added: number of batches whose gradients the parameters hold as a sum.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        of_loss: torch.optim.Optimizer | DealtOptimizer | None = None,
        schedule: Schedule | None = None,
        clip_norm: float = 0.0,
        average: WeightAverage | DealtAverage | None = None,
        rates: list[float] | None = None,
        accumulate: int = 1,
    ) -> None:
        self.optimizer = optimizer
        self.optimizers: list[torch.optim.Optimizer | DealtOptimizer] = [optimizer]
        if of_loss is not None:
            self.optimizers.append(of_loss)
        self._dealt = of_loss if isinstance(of_loss, DealtOptimizer) else None
        self.schedule = schedule
        self.clip_norm = clip_norm
        self.average = average
        self.accumulate = accumulate
        self.added = 0
        for group, rate in zip(optimizer.param_groups, rates or [], strict=bool(rates)):
            group["lr"] *= rate
        self.initial = [[float(group["lr"]) for group in each.param_groups] for each in self.optimizers]

    @property
    def lr(self) -> float:
        """The current learning rate of the head: the highest of the encoder's groups."""
        return max(float(group["lr"]) for group in self.optimizer.param_groups)

    def step_number(self, epoch: int, number: int, batches: int) -> int:
        """The number of a batch's step, from 0 over the whole run.

        Args:
            epoch: the epoch, from 1.
            number: number of the batch in the epoch, from 0.
            batches: number of batches in an epoch.
        """
        return (epoch - 1) * steps_of(batches, self.accumulate) + number // self.accumulate

    def begin_batch(self, number: int) -> None:
        """Clear all gradients if batch `number` of an epoch, from 0, is the first of its group."""
        if number % self.accumulate == 0:
            self.zero_grad()

    def end_batch(self, number: int, batches: int, empty: bool = False) -> bool:
        """Count a batch whose gradient was added, and say whether a step is due; then the mean gradient is ready.

        Args:
            number: number of the batch in its epoch, from 0.
            batches: number of batches in the epoch.
            empty: whether the batch has no loss, so that the mean is not over it.
        """
        self.added += not empty
        closes = (number + 1) % self.accumulate == 0 or number + 1 == batches
        if closes and self.added > 1:
            for parameter in self._parameters():
                if parameter.grad is not None:
                    parameter.grad /= self.added
            if self._dealt is not None:
                self._dealt.divide_elsewhere(self.added)
        return closes and self.added > 0

    def zero_grad(self) -> None:
        """Clear all gradients."""
        self.added = 0
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def gradient_norm(self) -> Tensor:
        """The global norm of the gradient that the encoder's parameters hold, scalar, before clipping."""
        return torch.nn.utils.get_total_norm(_gradients(self.optimizer))

    def step(self, number: int) -> None:
        """Move the weights by the gradients.

        Args:
            number: number of the step, from 0 over the whole run.
        """
        if self.clip_norm > 0:
            self._clip()
        if self.schedule is not None:
            with failing_as("schedule"):
                factor = self.schedule(number)
            for optimizer, initial in zip(self.optimizers, self.initial, strict=True):
                for group, lr in zip(optimizer.param_groups, initial, strict=True):
                    group["lr"] = lr * factor
        with failing_as("optimizer"):
            for optimizer in self.optimizers:
                optimizer.step()
        self.added = 0
        if self.average is not None:
            self.average.update()

    def state_dict(self) -> dict[str, Any]:
        """The state of the optimizers, the average and a group of batches that has begun; a schedule has no state."""
        average = None if self.average is None else self.average.state_dict()
        begun: dict[str, Any] = {}
        if self.added:
            gradients = [parameter.grad for parameter in self._parameters()]
            if self._dealt is not None:
                gradients[-1] = self._dealt.gradient()
            begun = {"added": self.added, "gradients": gradients}
        return {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers], "average": average, **begun}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.zero_grad()
        self.added = int(state.get("added", 0))
        if self.added:
            parameters, gradients = self._parameters(), list(state["gradients"])
            if self._dealt is not None:
                self._dealt.put_gradient(gradients.pop())
                parameters.pop()
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = None if gradient is None else torch.empty_like(parameter).copy_(gradient)

    def _clip(self) -> None:
        """Scale all gradients if their norm is above the limit."""
        parameters = self._parameters()
        norm = torch.nn.utils.get_total_norm([each.grad for each in parameters if each.grad is not None])
        if self._dealt is not None:
            elsewhere = self._dealt.norms_elsewhere()
            norm = torch.linalg.vector_norm(torch.stack([norm, *(norm.new_tensor(each) for each in elsewhere)]))
            self._dealt.clip_elsewhere(self.clip_norm, norm.item())
        torch.nn.utils.clip_grads_with_norm_(parameters, self.clip_norm, norm)

    def _parameters(self) -> list[nn.Parameter]:
        """The parameters of all optimizers, those of the loss last; the leader's own if processes share them."""
        return [p for each in self.optimizers for group in each.param_groups for p in group["params"]]


def steps_of(batches: int, accumulate: int) -> int:
    """The number of groups of `accumulate` batches, the last of which may be smaller."""
    return -(-batches // accumulate)


def _gradients(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
