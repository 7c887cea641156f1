"""Distance `euclidean`."""

from __future__ import annotations

import torch
from torch import Tensor

from siamesekit.registry import DISTANCES


def euclidean(a: Tensor, b: Tensor) -> Tensor:
    """√Σ (a − b)² over the last dimension: `[..., D]`, `[..., D]` → `[...]`, at least 0.

    Where a equals b the gradient is 0, not NaN.
    """
    squares = (a - b).square().sum(dim=-1)
    apart = squares > 0
    return torch.where(apart, torch.where(apart, squares, 1).sqrt(), 0)


@DISTANCES.register("euclidean")
class Euclidean:
    """Euclidean distance: `[..., D]`, `[..., D]` → `[...]`, at least 0; 0 … 2 for unit embeddings."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances of corresponding rows."""
        return euclidean(a, b)
