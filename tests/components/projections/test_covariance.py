"""Covariances within individuals and in total, against loops, closed forms and scikit-learn."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage
from torch import Tensor

from siamesekit.components.projections.covariance import (
    Deviations,
    classes_of,
    inverse_root,
    leading,
    ledoit_wolf,
    total_covariance,
    upright,
    within_covariance,
)
from siamesekit.errors import DataError

Photos = Callable[..., tuple[Tensor, Tensor]]


def test_the_covariance_within_individuals_is_the_loop_over_photos(photos: Photos) -> None:
    features, labels = photos()
    expected = torch.zeros(5, 5, dtype=torch.float64)
    for feature, label in zip(features, labels, strict=True):
        apart = feature - features[labels == label].mean(0)
        expected += torch.outer(apart, apart)
    found = within_covariance(features, classes_of(features, labels), 0.0)
    torch.testing.assert_close(found, expected / (60 - 7))


def test_the_total_covariance_is_that_of_numpy_and_shrinks_to_its_mean_diagonal(photos: Photos) -> None:
    features, labels = photos()
    expected = np.cov(features.T.numpy())
    mean = classes_of(features, labels).grand_mean
    torch.testing.assert_close(mean, features.mean(0))
    np.testing.assert_allclose(total_covariance(features, mean, 0.0).numpy(), expected)
    mixed = 0.7 * expected + 0.3 * np.trace(expected) / 5 * np.eye(5)
    np.testing.assert_allclose(total_covariance(features, mean, 0.3).numpy(), mixed)


@pytest.mark.parametrize("count", [8, 60, 5000])
def test_automatic_shrinkage_is_that_of_scikit_learn(photos: Photos, count: int) -> None:
    features, labels = photos(count=count)
    classes = classes_of(features, labels)
    deviations = Deviations(features, classes.means, classes.own)
    centred = (features - classes.means[classes.own]).numpy()
    assert ledoit_wolf(deviations) == pytest.approx(ledoit_wolf_shrinkage(centred, assume_centered=True))


def test_chunks_of_photos_do_not_change_the_covariance(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = photos()
    whole = within_covariance(features, classes_of(features, labels), "auto")
    monkeypatch.setattr("siamesekit.components.projections.covariance.CHUNK", 7)
    torch.testing.assert_close(within_covariance(features, classes_of(features, labels), "auto"), whole)


def test_an_inverse_root_makes_the_covariance_the_identity(photos: Photos) -> None:
    features, labels = photos()
    covariance = within_covariance(features, classes_of(features, labels), 0.0)
    root = inverse_root(covariance, "")
    torch.testing.assert_close(root @ covariance @ root, torch.eye(5, dtype=torch.float64))


def test_leading_eigenvectors_come_largest_first_with_a_positive_largest_component() -> None:
    found = leading(torch.diag(torch.tensor([1.0, 3.0, 2.0], dtype=torch.float64)), 2)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0], [1, 0], [0, 1]], dtype=torch.float64))
    torch.testing.assert_close(upright(-found), found)


@pytest.mark.parametrize(
    ("features", "labels", "expected"),
    [
        (torch.randn(4, 3), torch.arange(4), "no individual has two training photos"),
        (torch.ones(4, 3), torch.tensor([0, 0, 1, 1]), "features do not vary within individuals"),
        (torch.full((4, 3), torch.nan), torch.tensor([0, 0, 1, 1]), "NaN or infinite"),
    ],
)
def test_photos_without_a_covariance_are_refused(features: Tensor, labels: Tensor, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        within_covariance(features, classes_of(features, labels), 0.5)


def test_a_single_photo_has_no_total_covariance() -> None:
    with pytest.raises(DataError, match="at least two training photos, not 1"):
        total_covariance(torch.ones(1, 3), torch.ones(3, dtype=torch.float64), 0.0)


def test_a_singular_covariance_is_refused_with_the_rank_and_the_advice() -> None:
    with pytest.raises(DataError, match=r"vary in 2 of the 4 directions that are needed: set projection\.shrinkage"):
        inverse_root(torch.diag(torch.tensor([1.0, 2, 0, 0], dtype=torch.float64)), "set projection.shrinkage above 0")
