"""Distance `cosine`."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from siamesekit.registry import DISTANCES


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """1 − cos of the angle between a and b: `[..., D]`, `[..., D]` → `[...]`, 0 … 2; a zero vector is at 1."""
    return (1 - F.cosine_similarity(a, b, dim=-1)).clamp(0, 2)  # rounding may leave the range by 1e-7


@DISTANCES.register("cosine")
class Cosine:
    """Cosine distance 1 − cos: `[..., D]`, `[..., D]` → `[...]`, 0 (same direction) … 2 (opposite)."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances of corresponding rows."""
        return cosine(a, b)
