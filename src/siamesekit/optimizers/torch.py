"""Optimizers `torch/*`: those of PyTorch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from siamesekit.adapted.torch_optim import class_of
from siamesekit.errors import ComponentError
from siamesekit.registry import OPTIMIZERS


@OPTIMIZERS.register("torch/*", members="siamesekit.adapted.torch_optim:optimizers")
def torch_optimizer(
    *, model: str, options: dict[str, Any], params: Iterable[nn.Parameter] | Iterable[dict[str, Any]]
) -> torch.optim.Optimizer:
    """PyTorch's optimizers by name, with its options: they move parameters of any shape in place."""
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
             if value is not None}  # fmt: skip
    try:
        optimizer: torch.optim.Optimizer = getattr(torch.optim, class_of("Optimizer", model))(params, **given)
    except ValueError as error:
        raise ComponentError(f"torch/{model} refuses these options: {error}") from error
    return optimizer
