"""Distance `euclidean`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from siamesekit.registry import DISTANCES


def euclidean(a: Tensor, b: Tensor) -> Tensor:
    """√Σ (a − b)² over the last dimension: `[..., D]`, `[..., D]` → `[...]`, at least 0.

    If a equals b, the gradient is 0, not NaN.

    >>> euclidean(torch.tensor([0.0, 0.0]), torch.tensor([[3.0, 4.0], [0.0, 2.0]]))
    tensor([5., 2.])
    """
    squares = (a - b).square().sum(dim=-1)
    apart = squares != 0  # also true for NaN, which stays NaN
    return torch.where(apart, torch.where(apart, squares, 1).sqrt(), 0)


@DISTANCES.register("euclidean")
class Euclidean:
    """Euclidean distance: `[..., D]`, `[..., D]` → `[...]`, at least 0; 0 … 2 for unit embeddings."""

    __module__ = "siamesekit"

    ranks_as = "euclidean"
    sums_rows = True
    range = (0.0, math.inf)
    unit_range = (0.0, 2.0)

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances of corresponding rows."""
        return euclidean(a, b)

    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        """All distances, `[N, D]`, `[M, D]` → `[N, M]`, by one matrix product.

        √(|a|² + |b|² − 2ab). The radicand has a rounding error e of up to about 1e-6 · (|a|² + |b|²) in float32, so the
        error of the distance is up to e / distance, and up to √e for nearly equal a and b. The gradient is always
        finite, and 0 if the radicand is clamped to the smallest positive float.
        """
        squares = torch.addmm(a.square().sum(1, keepdim=True) + b.square().sum(1), a, b.T, alpha=-2)
        tiny = torch.finfo(squares.dtype).tiny
        return squares.clamp_min(tiny).sqrt()
