"""Projection `lda`."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from siamesekit.components.projections.covariance import classes_of, inverse_root, leading, within_covariance
from siamesekit.components.projections.projection import LinearMap
from siamesekit.errors import DataError
from siamesekit.options import Count, Fraction
from siamesekit.registry import PROJECTIONS


@PROJECTIONS.register("lda")
class LinearDiscriminantAnalysis:
    """Linear discriminant analysis: the directions in which individuals differ most, relative to their own photos.

    Features `[N, F]`, labels `[N]` of C individuals → a map to d = min(dimensions, C − 1, F) dimensions: the directions
    v with the largest vᵀ B v / vᵀ W v, scaled to vᵀ W v = 1. B is the covariance of the individuals' means, weighted by
    their numbers of photos; W is the pooled covariance within individuals, shrunk as in Friedman 1989, equation 18. An
    individual with one photo counts for B only. Fisher 1936; Rao 1948.

    Args:
        dimensions: number of dimensions, at most.
        shrinkage: how far W is shrunk toward its mean diagonal, from 0 to 1; `auto` is the estimate of Ledoit and Wolf
            2004. At 0, more photos than features are needed; at 1, the directions are those of PCA of the means.
    """

    __module__ = "siamesekit"

    def __init__(self, dimensions: Count = 128, shrinkage: Fraction | Literal["auto"] = 0.5) -> None:
        self.dimensions = dimensions
        self.shrinkage = shrinkage

    def width(self, num_features: int, individuals: int) -> int:
        """Number of dimensions d for F features and C individuals.

        Raises:
            DataError: there is one individual only.
        """
        if individuals < 2:
            raise DataError(f"projection 'lda' needs at least two training individuals, not {individuals}")
        return min(self.dimensions, individuals - 1, num_features)

    def __call__(self, features: Tensor, labels: Tensor) -> LinearMap:
        """Fit the map to features `[N, F]` of individuals `[N]`.

        Raises:
            DataError: there is one individual only, no individual has two photos, or W cannot be inverted.
        """
        classes = classes_of(features, labels)
        width = self.width(features.shape[1], len(classes.counts))
        root = inverse_root(within_covariance(features, classes, self.shrinkage), "set projection.shrinkage above 0")
        mean = classes.grand_mean
        means = (classes.counts / classes.counts.sum()).sqrt()[:, None] * (classes.means - mean) @ root
        return LinearMap(mean, root @ leading(means.T @ means, width))
