"""A running average of the weights, often better than the noisy weights of the last step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def warmed_decay(decay: float, updates: int) -> float:
    """The decay after t updates, min(decay, (1 + t) / (10 + t)): early averages forget the untrained weights fast."""
    return min(decay, (1 + updates) / (10 + updates))


class WeightAverage:
    """Exponential moving average of the weights: a ← d · a + (1 − d) · w after each step, d = `warmed_decay`.

    It averages the parameters with `requires_grad`, and the statistics of BatchNorm layers in training mode. It takes
    as much memory as these, and as much again while it is applied. Polyak and Juditsky 1992.

    Args:
        modules: the encoder, and the loss if it is a module; in training mode.
        decay: decay of the average, at least 0, below 1.

    Attributes:
        updates: number of updates so far.
    """

    def __init__(self, modules: Iterable[nn.Module], decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights = [tensor for module in modules for tensor in _moving(module)]
        self.average = [weight.detach().clone() for weight in self.weights]

    @torch.no_grad()
    def update(self) -> None:
        """Add the current weights to the average."""
        decay = warmed_decay(self.decay, self.updates)
        for average, weight in zip(self.average, self.weights, strict=True):
            if average.is_floating_point():
                average.lerp_(weight, 1 - decay)
            else:  # a count of batches
                average.copy_(weight)
        self.updates += 1

    @torch.no_grad()
    def apply(self) -> None:
        """Replace the modules' weights by the average, for good."""
        for average, weight in zip(self.average, self.weights, strict=True):
            weight.copy_(average)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Replace the modules' weights by the average for the block, then restore them."""
        own = [weight.detach().clone() for weight in self.weights]
        self.apply()
        try:
            yield
        finally:
            with torch.no_grad():
                for weight, kept in zip(self.weights, own, strict=True):
                    weight.copy_(kept)

    def state_dict(self) -> dict[str, Any]:
        """The average and the number of updates."""
        return {"updates": self.updates, "average": self.average}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state of the same modules."""
        for average, saved in zip(self.average, state["average"], strict=True):
            average.copy_(saved)
        self.updates = int(state["updates"])


def _moving(module: nn.Module) -> Iterator[Tensor]:
    """The tensors of a module that training changes: parameters, and statistics of BatchNorm in training mode."""
    yield from (parameter for parameter in module.parameters() if parameter.requires_grad)
    for part in module.modules():
        if isinstance(part, _BatchNorm) and part.training:
            yield from part.buffers(recurse=False)
