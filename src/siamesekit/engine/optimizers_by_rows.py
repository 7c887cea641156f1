"""Whether an optimizer moves each row of a matrix by itself, so that rows can be divided among several optimizers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

ROWS, FIRST, COLUMNS = 7, 3, 4
"""Rows of the matrix that is tried, those of its first part, and its columns."""
SIZES = (1.0, 1e-3, 1e3, 1e-1)
"""Sizes of the gradients of the steps: an optimizer may treat large or small ones of a matrix in another way."""


def moves_by_rows(make: Callable[[list[nn.Parameter]], torch.optim.Optimizer]) -> bool:
    """Whether an optimizer treats a matrix as it treats two parts of its rows, in its steps and its state.

    It is tried for some steps with random gradients. True for optimizers that treat each number by itself, such as Adam
    and SGD; False for those that use norms, or means over rows or columns, such as Adafactor, or that draw by chance.

    Args:
        make: makes the optimizer of parameters.
    """
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(ROWS, COLUMNS, generator=generator, dtype=torch.float64)
    whole = nn.Parameter(start.clone())
    parts = [nn.Parameter(start[:FIRST].clone()), nn.Parameter(start[FIRST:].clone())]
    optimizers = [make([each]) for each in (whole, *parts)]
    for size in SIZES:
        gradient = size * torch.randn(ROWS, COLUMNS, generator=generator, dtype=torch.float64)
        whole.grad, parts[0].grad, parts[1].grad = gradient.clone(), gradient[:FIRST].clone(), gradient[FIRST:].clone()
        for optimizer in optimizers:
            optimizer.step()
        if not _alike(whole.detach(), torch.cat([*parts]).detach()):
            return False
    states = [optimizer.state_dict()["state"].get(0, {}) for optimizer in optimizers]
    return all(_divided(states[0][name], states[1].get(name), states[2].get(name)) for name in states[0])


def _divided(whole: object, first: object, second: object) -> bool:
    """Whether an entry of the whole's state is made of those of the parts, or the same in both."""
    if not isinstance(whole, Tensor) or not isinstance(first, Tensor) or not isinstance(second, Tensor):
        return whole == first == second
    if whole.ndim == 0:
        return bool(whole == first == second)
    return whole.shape == (ROWS, COLUMNS) and _alike(whole, torch.cat([first, second]))


def _alike(ours: Tensor, theirs: Tensor) -> bool:
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-10, atol=1e-12)
