"""Optimizer `keras-adam`: Adam with Keras's epsilon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from siamesekit.components.optimizers.fused import Params, fused_where_possible
from siamesekit.options import OpenFraction, Positive
from siamesekit.registry import OPTIMIZERS


def equivalent_eps(epsilon: float, beta2: float, step: int) -> float:
    """The eps with which PyTorch's Adam takes the step of Keras: ε̂ / √(1 − β₂ᵗ), at step t ≥ 1."""
    return float(epsilon / (1 - beta2**step) ** 0.5)


class KerasAdam(torch.optim.Adam):
    """Adam whose epsilon is the "epsilon hat" of Kingma and Ba 2015 (arXiv:1412.6980, section 2), as in Keras.

    θ ← θ − lr · √(1−β₂ᵗ)/(1−β₁ᵗ) · m / (√v + ε̂). PyTorch's Adam divides by √v̂ + ε instead. The difference is small
    for the usual 1e-7, and large for 0.1.
    """

    __module__ = "siamesekit"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-7,
    ) -> None:
        given: list[Any] = list(params)
        super().__init__(given, lr=lr, betas=(beta1, beta2), eps=epsilon, fused=fused_where_possible(given))
        for group in self.param_groups:
            group["epsilon_hat"] = epsilon
            group["steps"] = 0

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take one step along the gradients of the parameters."""
        for group in self.param_groups:
            group["steps"] += 1
            group["eps"] = equivalent_eps(group["epsilon_hat"], group["betas"][1], group["steps"])
        return super().step(closure)


@OPTIMIZERS.register("keras-adam")
def keras_adam(
    lr: Positive = 1e-3,
    beta1: OpenFraction = 0.9,
    beta2: OpenFraction = 0.999,
    epsilon: Positive = 1e-7,
    *,
    params: Params,
) -> KerasAdam:
    """Adam with Keras's epsilon, for learning rates and epsilons of Keras recipes.

    Updates parameters of any shape in place.

    Args:
        lr: learning rate.
        beta1: decay rate of the mean of the gradient.
        beta2: decay rate of the mean square of the gradient.
        epsilon: added to √v before bias correction.
        params: supplied by the run.
    """
    return KerasAdam(params, lr, beta1, beta2, epsilon)
