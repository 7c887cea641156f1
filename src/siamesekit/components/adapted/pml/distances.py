"""Distances `pml/*`: the distances of pytorch-metric-learning."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from siamesekit.components.adapted.pml.bridge import construct
from siamesekit.hardware.float32 import at_least_float32
from siamesekit.registry import DISTANCES
from siamesekit.registry.construction import member_repr


class PmlDistance:
    """A distance of pytorch-metric-learning. A similarity s becomes 1 − s, so that smaller is nearer.

    Args:
        module: the distance of pytorch-metric-learning.
    """

    def __init__(self, module: Any) -> None:
        self.module = module

    __repr__ = member_repr

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances of corresponding rows, shapes broadcast: `[..., D]`, `[..., D]` → `[...]`."""
        a, b = at_least_float32(a), at_least_float32(b)
        a, b = a.broadcast_to(shape := (a + b).shape), b.broadcast_to(shape)
        rows_a, rows_b = (self.module.maybe_normalize(rows.reshape(-1, shape[-1])) for rows in (a, b))
        values: Tensor = self.module.pairwise_distance(rows_a, rows_b)
        if self.module.power != 1:
            values = values**self.module.power
        return self._turned(values).reshape(shape[:-1])

    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        """All distances, `[N, D]`, `[M, D]` → `[N, M]`."""
        return self._turned(self.module(at_least_float32(a), at_least_float32(b)))

    def _turned(self, values: Tensor) -> Tensor:
        return 1 - values if self.module.is_inverted else values


@DISTANCES.register("pml/*", members="siamesekit.registry.adapted.pml:distances")
def pml_distance(*, model: str, options: dict[str, Any]) -> PmlDistance:
    """The distances of pytorch-metric-learning by name: `[..., D]`, `[..., D]` → `[...]`, smaller is nearer.

    A similarity s, such as the cosine, becomes 1 − s. Most scale embeddings to length 1 first (`normalize_embeddings`).
    """
    return PmlDistance(construct("distances", model, options))
