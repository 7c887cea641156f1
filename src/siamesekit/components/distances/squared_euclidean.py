"""Distance `squared-euclidean`."""

from __future__ import annotations

import math

from torch import Tensor

from siamesekit.registry import DISTANCES


def squared_euclidean(a: Tensor, b: Tensor) -> Tensor:
    """Σ (a − b)² over the last dimension: `[..., D]`, `[..., D]` → `[...]`, at least 0.

    For embeddings of length 1 it is 2 − 2·cos, at most 4; at most 2 if no coordinate is negative.

    >>> import torch
    >>> squared_euclidean(torch.tensor([0.0, 0.0]), torch.tensor([3.0, 4.0]))
    tensor(25.)
    """
    return (a - b).square().sum(dim=-1)


@DISTANCES.register("squared-euclidean")
class SquaredEuclidean:
    """Squared Euclidean distance: `[..., D]`, `[..., D]` → `[...]`, at least 0; 0 … 4 for unit embeddings."""

    __module__ = "siamesekit"

    ranks_as = "euclidean"
    sums_rows = True
    range = (0.0, math.inf)
    unit_range = (0.0, 4.0)

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances of corresponding rows."""
        return squared_euclidean(a, b)

    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        """All distances, `[N, D]`, `[M, D]` → `[N, M]`, by one matrix product.

        |a|² + |b|² − 2ab, clamped at 0. The rounding error is up to about 1e-6 · (|a|² + |b|²) in float32.
        """
        products = a @ b.T
        squares = a.square().sum(dim=1, keepdim=True) + b.square().sum(dim=1)
        return (squares - 2 * products).clamp_min(0)
