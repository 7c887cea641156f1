"""Covariances of features, in total and within individuals, with shrinkage, and their inverse square roots."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from siamesekit.errors import DataError

CHUNK = 8192
"""Number of features that are converted to float64 at a time."""
SINGULAR = 1e-12
"""Eigenvalues below this share of the largest, per dimension, count as 0."""


class Classes(NamedTuple):
    """Means of the features of each individual.

    Attributes:
        means: float64 `[C, F]`.
        counts: number of photos of each individual, float64 `[C]`.
        own: row of `means` of each photo, int64 `[N]`.
    """

    means: Tensor
    counts: Tensor
    own: Tensor

    @property
    def grand_mean(self) -> Tensor:
        """Mean of all N features, float64 `[F]`."""
        return self.counts @ self.means / self.counts.sum()


class Deviations:
    """Features `[N, F]` minus a centre for each, in float64, a chunk at a time.

    Args:
        features: features of any float type, `[N, F]`.
        centres: float64 `[K, F]`.
        own: centre of each photo, int64 `[N]`.
    """

    def __init__(self, features: Tensor, centres: Tensor, own: Tensor) -> None:
        self.features = features
        self.centres = centres
        self.own = own

    def __len__(self) -> int:
        return len(self.features)

    def __iter__(self) -> Iterator[Tensor]:
        for chunk, own in zip(self.features.split(CHUNK), self.own.split(CHUNK), strict=True):
            yield chunk.double() - self.centres[own]

    def scatter(self) -> Tensor:
        """Sum of the outer products of the deviations, `[F, F]`."""
        width = self.features.shape[1]
        total = torch.zeros(width, width, dtype=torch.float64, device=self.features.device)
        for chunk in self:
            total.addmm_(chunk.T, chunk)
        return total


def classes_of(features: Tensor, labels: Tensor) -> Classes:
    """The mean of each individual's features: `[N, F]`, individuals `[N]` → `Classes`."""
    names, own = labels.unique(return_inverse=True)
    counts = torch.bincount(own, minlength=len(names)).double()
    sums = torch.zeros(len(names), features.shape[1], dtype=torch.float64, device=features.device)
    for chunk, rows in zip(features.split(CHUNK), own.split(CHUNK), strict=True):
        sums.index_add_(0, rows, chunk.double())
    return Classes(sums / counts[:, None], counts, own)


def within_covariance(features: Tensor, classes: Classes, shrinkage: float | str) -> Tensor:
    """The pooled covariance of features within individuals, shrunk: `[N, F]` → `[F, F]`, in float64.

    It is Σ (x − m)(x − m)ᵀ / (N − C) with the mean m of x's individual. An individual with one photo adds nothing.

    Raises:
        DataError: every individual has one photo only, or the features within individuals do not vary.
    """
    several = classes.counts[classes.own] > 1
    if not several.any():
        raise DataError(
            "no individual has two training photos, so there is no covariance within individuals: add photos, or set "
            'projection.name = "whitening", which needs none'
        )
    deviations = Deviations(features[several], classes.means, classes.own[several])
    covariance = deviations.scatter() / (len(features) - len(classes.counts))
    return shrunk(covariance, deviations, shrinkage, "within individuals")


def total_covariance(features: Tensor, mean: Tensor, shrinkage: float | str) -> Tensor:
    """The covariance of features about their mean `[F]`, shrunk: `[N, F]` → `[F, F]`, in float64, over N − 1.

    Raises:
        DataError: there is one photo only, or the features do not vary.
    """
    if len(features) < 2:
        raise DataError(f"a covariance needs at least two training photos, not {len(features)}")
    deviations = Deviations(features, mean[None], torch.zeros(len(features), dtype=torch.int64, device=mean.device))
    return shrunk(deviations.scatter() / (len(features) - 1), deviations, shrinkage, "over all photos")


def shrunk(covariance: Tensor, deviations: Deviations, shrinkage: float | str, where: str) -> Tensor:
    """Shrink a covariance `[F, F]` toward the mean of its diagonal: (1 − γ) S + γ tr(S) / F · I.

    Friedman 1989, "Regularized Discriminant Analysis", equation 18.

    Args:
        covariance: the covariance S.
        deviations: the deviations from which it was computed.
        shrinkage: γ, 0 … 1, or `"auto"` for `ledoit_wolf`.
        where: what the covariance is of, for errors.

    Raises:
        DataError: the features do not vary, or are not finite.
    """
    level = covariance.diagonal().mean()
    if not bool(level.isfinite()):
        raise DataError("the encoder gives features that are NaN or infinite: take other weights")
    if not level > 0:
        raise DataError(
            f"the encoder's features do not vary {where}, so no projection can be fitted: are the photos copies of "
            "each other, or the weights random?"
        )
    gamma = ledoit_wolf(deviations) if isinstance(shrinkage, str) else shrinkage
    mixed = (1 - gamma) * covariance
    mixed.diagonal().add_(gamma * level)
    return mixed


def ledoit_wolf(deviations: Deviations) -> float:
    """The shrinkage with the least expected squared error: Ledoit and Wolf 2004, theorem 3.4 and section 3.3.

    With the covariance S = Σ x xᵀ / n of deviations x and its mean diagonal μ, the shrinkage is
    min(Σ ‖x xᵀ − S‖² / n², ‖S − μ I‖²) / ‖S − μ I‖², from 0 to 1; it is 1 if S = μ I.
    """
    n, square = len(deviations), deviations.scatter() / len(deviations)
    fourth = sum(float(chunk.square().sum(1).square().sum()) for chunk in deviations)
    spread = float(square.square().sum())
    apart = spread - float(square.diagonal().sum()) ** 2 / len(square)
    error = (fourth / n - spread) / n
    return 1.0 if apart <= 0 or error >= apart else max(error, 0.0) / apart


def inverse_root(covariance: Tensor, advice: str) -> Tensor:
    """The symmetric inverse square root of a covariance: `[F, F]` → `[F, F]`.

    Args:
        covariance: symmetric, float64.
        advice: what to do if it cannot be inverted.

    Raises:
        DataError: the covariance is singular.
    """
    values, vectors = torch.linalg.eigh(covariance)
    refuse_singular(values, len(values), advice)
    root: Tensor = (vectors * values.rsqrt()) @ vectors.T
    return root


def refuse_singular(values: Tensor, wanted: int, advice: str) -> None:
    """Refuse a covariance with eigenvalues `[F]`, ascending, of which `wanted` must be above 0.

    Raises:
        DataError: fewer are.
    """
    rank = int((values > SINGULAR * len(values) * values[-1]).sum())
    if rank < wanted:
        raise DataError(
            f"the features of the training photos vary in {rank} of the {wanted} directions that are needed: {advice}"
        )


def leading(symmetric: Tensor, dimensions: int) -> Tensor:
    """The eigenvectors of the largest eigenvalues, the largest first: `[F, F]` → `[F, d]`.

    The largest component of each is positive, so that the signs do not depend on the machine.
    """
    _, vectors = torch.linalg.eigh(symmetric)
    return upright(vectors[:, -dimensions:].flip(1))


def upright(vectors: Tensor) -> Tensor:
    """Columns `[F, d]` with signs such that the largest component of each is positive."""
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return vectors * torch.where(largest < 0, -1.0, 1.0)
