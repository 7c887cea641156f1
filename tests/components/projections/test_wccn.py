"""Projection `wccn`: what it makes of the covariance within individuals."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from siamesekit import WithinClassCovarianceNormalization
from siamesekit.components.projections.covariance import classes_of, within_covariance
from siamesekit.errors import DataError

Photos = Callable[..., tuple[Tensor, Tensor]]


@pytest.mark.parametrize("dimensions", [5, 3])
def test_the_covariance_within_individuals_becomes_the_identity(photos: Photos, dimensions: int) -> None:
    features, labels = photos()
    fitted = WithinClassCovarianceNormalization(dimensions, shrinkage=0.0)(features, labels)
    mapped = fitted(features)
    within = within_covariance(mapped, classes_of(mapped, labels), 0.0)
    torch.testing.assert_close(within, torch.eye(dimensions, dtype=torch.float64))


def test_all_dimensions_give_the_distances_of_the_inverse_covariance(photos: Photos) -> None:
    features, labels = photos()
    mapped = WithinClassCovarianceNormalization(128, shrinkage=0.3)(features, labels)(features)
    inverse = torch.linalg.inv(within_covariance(features, classes_of(features, labels), 0.3))
    for a, b in [(0, 1), (7, 30), (12, 59)]:
        apart = features[a] - features[b]
        torch.testing.assert_close((mapped[a] - mapped[b]).square().sum(), apart @ inverse @ apart)


def test_the_first_dimensions_are_those_in_which_all_photos_vary_the_most(photos: Photos) -> None:
    features, labels = photos()
    whole = WithinClassCovarianceNormalization(5, 0.0)(features, labels)(features)
    covariance = torch.cov(whole.T)
    variances = covariance.diagonal()
    torch.testing.assert_close(covariance, torch.diag(variances))
    assert (variances.diff() < 0).all()
    torch.testing.assert_close(WithinClassCovarianceNormalization(2, 0.0)(features, labels)(features), whole[:, :2])


def test_one_photo_for_each_individual_is_refused() -> None:
    with pytest.raises(DataError, match=r"no individual has two training photos.*whitening"):
        WithinClassCovarianceNormalization()(torch.randn(5, 3), torch.arange(5))
