"""Distance `dot`."""

from __future__ import annotations

import math

from torch import Tensor

from siamesekit.registry import DISTANCES


def dot(a: Tensor, b: Tensor) -> Tensor:
    """−Σ a·b over the last dimension: `[..., D]`, `[..., D]` → `[...]`, of either sign, smaller is nearer.

    >>> import torch
    >>> dot(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))  # −(1 · 3 + 2 · 4)
    tensor(-11.)
    """
    return -(a * b).sum(dim=-1)


@DISTANCES.register("dot")
class Dot:
    """Negated dot product −a·b: `[..., D]`, `[..., D]` → `[...]`, of either sign; −1 … 1 for unit embeddings.

    It is not a metric: the distance of an embedding from itself is −|a|², and a longer embedding in the same direction
    is nearer still. For unit embeddings it equals `cosine` − 1. Margins and thresholds are in the same units and may
    be negative: 0 is 90 degrees.
    """

    __module__ = "siamesekit"

    ranks_as = "dot"
    sums_rows = True
    range = (-math.inf, math.inf)
    unit_range = (-1.0, 1.0)

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances of corresponding rows."""
        return dot(a, b)

    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        """All distances, `[N, D]`, `[M, D]` → `[N, M]`, by one matrix product.

        The rounding error is up to about 1e-6 · |a| |b| in float32.
        """
        return -(a @ b.T)
