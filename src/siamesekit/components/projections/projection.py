"""The protocol `Projection` of projection components, and the `LinearMap` that they fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class LinearMap:
    """A linear map of centred features: x → (x − mean) · matrix.

    Attributes:
        mean: float64 `[F]`.
        matrix: float64 `[F, d]`.
    """

    __module__ = "siamesekit"

    mean: Tensor
    matrix: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Map features `[N, F]` → `[N, d]`, in float64."""
        return (features.double() - self.mean) @ self.matrix


class Projection(Protocol):
    """A linear map that is computed from the training photos' features, without training.

    A call takes features `[N, F]` and individuals int64 `[N]`, 0 … C − 1, and returns a `LinearMap`.
    """

    def width(self, num_features: int, individuals: int) -> int:
        """Number of dimensions d of the map, for F features and C individuals."""
        ...

    def __call__(self, features: Tensor, labels: Tensor) -> LinearMap:
        """Fit the map to features `[N, F]` of individuals `[N]`."""
        ...


Projection.__module__ = "siamesekit"
