"""Projection `wccn`."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from siamesekit.components.projections.covariance import (
    classes_of,
    inverse_root,
    leading,
    total_covariance,
    within_covariance,
)
from siamesekit.components.projections.projection import LinearMap
from siamesekit.options import Count, Fraction
from siamesekit.registry import PROJECTIONS


@PROJECTIONS.register("wccn")
class WithinClassCovarianceNormalization:
    """Within-class covariance normalization: the covariance within individuals becomes the identity.

    Features `[N, F]`, labels `[N]` → a map to d = min(dimensions, F) dimensions, (x − mean) · W^(−1/2) V, with the
    pooled covariance W within individuals. Hatch, Kajarekar and Stolcke 2006 (Interspeech), whose map has all F
    dimensions; of these, the d orthogonal directions V in which all photos vary the most are kept. An individual with
    one photo does not count for W.

    Args:
        dimensions: number of dimensions, at most.
        shrinkage: how far W is shrunk toward its mean diagonal, from 0 to 1; `auto` is the estimate of Ledoit and Wolf
            2004. At 0, more photos than features are needed.
    """

    __module__ = "siamesekit"

    def __init__(self, dimensions: Count = 128, shrinkage: Fraction | Literal["auto"] = 0.5) -> None:
        self.dimensions = dimensions
        self.shrinkage = shrinkage

    def width(self, num_features: int, individuals: int) -> int:
        """Number of dimensions d for F features."""
        return min(self.dimensions, num_features)

    def __call__(self, features: Tensor, labels: Tensor) -> LinearMap:
        """Fit the map to features `[N, F]` of individuals `[N]`.

        Raises:
            DataError: no individual has two photos, or W cannot be inverted.
        """
        classes = classes_of(features, labels)
        within = within_covariance(features, classes, self.shrinkage)
        root = inverse_root(within, "set projection.shrinkage above 0")
        total = total_covariance(features, classes.grand_mean, 0.0)
        kept = leading(root @ total @ root, self.width(len(root), len(torch.unique(labels))))
        return LinearMap(classes.grand_mean, root @ kept)
