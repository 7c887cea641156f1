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
    """The negated dot product −a·b: `[..., D]`, `[..., D]` → `[...]`, of either sign; −1 … 1 for unit embeddings.

    No metric: an embedding is at −|a|² from itself, and a longer one in the same direction is nearer still. For unit
    embeddings it is `cosine` less 1. Margins and thresholds are in its own units, and may be negative: 0 is 90 degrees.
    """

    ranks_as = "dot"
    range = (-math.inf, math.inf)
    unit_range = (-1.0, 1.0)

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances of corresponding rows."""
        return dot(a, b)

    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        """All distances, `[N, D]`, `[M, D]` → `[N, M]`, by one matrix product.

        Its rounding error is up to about 5e-7 · |a| |b| in float32.
        """
        return -(a @ b.T)
