"""Distance `cosine`."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from siamesekit.components.distances.distance import unit
from siamesekit.hardware.float32 import at_least_float32
from siamesekit.registry import DISTANCES


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """1 − cos of the angle between a and b: `[..., D]`, `[..., D]` → `[...]`, 0 … 2; 1 for a zero vector.

    Computed in float32 or better.

    >>> import torch
    >>> cosine(torch.tensor([1.0, 0.0]), torch.tensor([[5.0, 0.0], [0.0, 1.0], [-2.0, 0.0]]))
    tensor([0., 1., 2.])
    """
    a, b = at_least_float32(a), at_least_float32(b)
    return (1 - F.cosine_similarity(a, b, dim=-1)).clamp(0, 2)  # rounding may exceed the range by 1e-7


@DISTANCES.register("cosine")
class Cosine:
    """Cosine distance 1 − cos: `[..., D]`, `[..., D]` → `[...]`, 0 (same direction) … 2 (opposite)."""

    __module__ = "siamesekit"

    ranks_as = "cosine"
    range = (0.0, 2.0)

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances of corresponding rows."""
        return cosine(a, b)

    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        """All distances, `[N, D]`, `[M, D]` → `[N, M]`, by one matrix product of the rows scaled to length 1.

        The rounding error is up to about 1e-6 in float32.
        """
        return (1 - unit(a) @ unit(b).T).clamp(0, 2)
