"""BatchNorm that trains on several processes, with the statistics of the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from siamesekit.hardware.ranks import Ranks


class SyncedBatchNorm(TorchFunctionMode):
    """Inside, each `batch_norm` that trains normalizes by mean and variance over the shares of all processes.

    All processes must run the same network at the same time, also one whose share is empty. Gradients go through the
    statistics to the images of all processes. `torch.nn.SyncBatchNorm` does the same on GPUs only.
    """

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self.ranks = ranks

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function of torch; `batch_norm` that trains with the statistics of all processes."""
        if func is F.batch_norm:
            given = signature(F.batch_norm).bind(*args, **(kwargs or {}))
            given.apply_defaults()
            if given.arguments["training"]:
                return self._normalized(**given.arguments)
        return func(*args, **(kwargs or {}))

    def _normalized(self, input: Tensor, **given: Any) -> Tensor:
        """Normalize `[n, C, …]` as `torch.nn.functional.batch_norm` does, over the rows of all processes.

        Args:
            input: the rows of this process.
            given: the other arguments of `batch_norm`, by name.
        """
        values = input.float() if input.dtype in (torch.bfloat16, torch.float16) else input
        over = [0, *range(2, input.ndim)]
        shape = [1, -1, *[1] * (input.ndim - 2)]
        count = values.new_tensor([float(values.numel() // values.shape[1])])
        sums = _Sum.apply(torch.cat([values.sum(over), count]), self.ranks)
        total = sums[-1].detach()
        if total <= 1:
            raise ValueError("Expected more than 1 value per channel when training, in the shares of all processes")
        mean = sums[:-1] / total
        centred = values - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(over), self.ranks) / total
        with torch.no_grad():
            for running, found in (
                (given["running_mean"], mean),
                (given["running_var"], variance * (total / (total - 1))),
            ):
                if running is not None:
                    running.lerp_(found.to(running.dtype), given["momentum"])
        normal = centred * (variance + given["eps"]).rsqrt().view(shape)
        if (weight := given["weight"]) is not None:
            normal = normal * weight.view(shape)
        if (bias := given["bias"]) is not None:
            normal = normal + bias.view(shape)
        result: Tensor = normal.to(input.dtype)
        return result


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes; the gradient is the sum of all processes' gradients."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, ranks: Ranks) -> Tensor:
        """Add the tensors `[n]` of all processes."""
        ctx.ranks = ranks
        return ranks.add_everywhere(tensor.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Add the gradients `[n]` of all processes."""
        return ctx.ranks.add_everywhere(gradients[0].contiguous().clone()), None
