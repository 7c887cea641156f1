"""Projection `whitening`."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from siamesekit.components.projections.covariance import classes_of, refuse_singular, total_covariance, upright
from siamesekit.components.projections.projection import LinearMap
from siamesekit.options import Count, Fraction
from siamesekit.registry import PROJECTIONS


@PROJECTIONS.register("whitening")
class Whitening:
    """PCA whitening: the leading principal components, each scaled to variance 1.

    Features `[N, F]` → a map to d = min(dimensions, F) dimensions, (x − mean) · V Λ^(−1/2), with the largest
    eigenvalues Λ of the covariance and their eigenvectors V. Individuals are not used. Jégou and Chum 2012 (ECCV),
    "Negative evidences and co-occurrences in image retrieval: the benefit of PCA and whitening".

    Args:
        dimensions: number of dimensions, at most.
        shrinkage: how far the covariance is shrunk toward its mean diagonal, from 0 to 1; `auto` is the estimate of
            Ledoit and Wolf 2004. It limits how much components of small variance are amplified.
    """

    __module__ = "siamesekit"

    def __init__(self, dimensions: Count = 128, shrinkage: Fraction | Literal["auto"] = 0.1) -> None:
        self.dimensions = dimensions
        self.shrinkage = shrinkage

    def width(self, num_features: int, individuals: int) -> int:
        """Number of dimensions d for F features."""
        return min(self.dimensions, num_features)

    def __call__(self, features: Tensor, labels: Tensor) -> LinearMap:
        """Fit the map to features `[N, F]`.

        Raises:
            DataError: the features vary in fewer than d directions.
        """
        mean = classes_of(features, torch.zeros_like(labels)).grand_mean
        values, vectors = torch.linalg.eigh(total_covariance(features, mean, self.shrinkage))
        width = self.width(len(mean), 1)
        refuse_singular(values, width, "set projection.shrinkage above 0, or lower projection.dimensions")
        vectors, values = upright(vectors[:, -width:].flip(1)), values[-width:].flip(0)
        return LinearMap(mean, vectors * values.rsqrt())
