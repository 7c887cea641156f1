"""Distance `gulls-chebyshev`."""

from __future__ import annotations

from torch import Tensor

from siamesekit import DISTANCES


def chebyshev(a: Tensor, b: Tensor) -> Tensor:
    """Maximum of |a − b| over the last dimension: `[..., D]`, `[..., D]` → `[...]`, at least 0."""
    return (a - b).abs().amax(dim=-1)


@DISTANCES.register("gulls-chebyshev")
class Chebyshev:
    """Chebyshev distance, the largest difference in any dimension: `[..., D]`, `[..., D]` → `[...]`, at least 0."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances of corresponding rows."""
        return chebyshev(a, b)
