"""Distance `manhattan`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from siamesekit.registry import DISTANCES


def manhattan(a: Tensor, b: Tensor) -> Tensor:
    """Σ |a − b| over the last dimension: `[..., D]`, `[..., D]` → `[...]`, at least 0.

    If a coordinate is equal in a and b, its gradient is 0.

    >>> manhattan(torch.tensor([0.0, 0.0]), torch.tensor([3.0, -4.0]))
    tensor(7.)
    """
    return (a - b).abs().sum(dim=-1)


@DISTANCES.register("manhattan")
class Manhattan:
    """Manhattan distance Σ |a − b|: `[..., D]`, `[..., D]` → `[...]`, at least 0; 0 … 2√D for unit embeddings.

    A single outlying coordinate counts less than in `euclidean`.
    """

    __module__ = "siamesekit"

    range = (0.0, math.inf)

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances of corresponding rows."""
        return manhattan(a, b)

    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        """All distances, `[N, D]`, `[M, D]` → `[N, M]`, without further memory, in O(N M D) time."""
        return torch.cdist(a, b, p=1.0)
