"""Optimizers `torch/*`: the optimizers of PyTorch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from siamesekit.errors import ComponentError
from siamesekit.registry import OPTIMIZERS
from siamesekit.registry.adapted.torch_optim import class_of


@OPTIMIZERS.register("torch/*", members="siamesekit.registry.adapted.torch_optim:optimizers")
def torch_optimizer(
    *, model: str, options: dict[str, Any], params: Iterable[nn.Parameter] | Iterable[dict[str, Any]]
) -> torch.optim.Optimizer:
    """The optimizers of PyTorch by name, with their options. They update parameters of any shape in place."""
    given = {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items() if value is not None
    }
    try:
        optimizer: torch.optim.Optimizer = getattr(torch.optim, class_of("Optimizer", model))(params, **given)
    except ValueError as error:
        raise ComponentError(f"torch/{model} refuses these options: {error}") from error
    return optimizer
