"""Projection `whitening` against scikit-learn's PCA, and what it makes of the covariance."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from siamesekit import Whitening
from siamesekit.errors import DataError

Photos = Callable[..., tuple[Tensor, Tensor]]


def test_whitened_features_have_the_identity_as_covariance(photos: Photos) -> None:
    features, labels = photos()
    mapped = Whitening(5, shrinkage=0.0)(features, labels)(features)
    torch.testing.assert_close(torch.cov(mapped.T), torch.eye(5, dtype=torch.float64))


def test_leading_components_are_those_of_scikit_learn(photos: Photos) -> None:
    features, labels = photos()
    ours = Whitening(3, shrinkage=0.0)(features, labels)(features).numpy()
    theirs = PCA(3, whiten=True).fit_transform(features.numpy())
    np.testing.assert_allclose(ours, theirs * np.sign((ours * theirs).sum(0)), atol=1e-10)


def test_shrinkage_limits_what_is_amplified(photos: Photos) -> None:
    features, labels = photos()
    values = np.linalg.eigvalsh(np.cov(features.T.numpy()))[::-1]
    mapped = Whitening(5, shrinkage=0.4)(features, labels)(features)
    expected = values / (0.6 * values + 0.4 * values.mean())
    np.testing.assert_allclose(torch.cov(mapped.T).diagonal().numpy(), expected)


def test_more_dimensions_than_photos_need_shrinkage(photos: Photos) -> None:
    features, labels = photos(count=10, width=20)
    with pytest.raises(DataError, match=r"vary in 9 of the 12 directions .*lower projection\.dimensions"):
        Whitening(12, shrinkage=0.0)(features, labels)
    assert Whitening(12)(features, labels)(features).shape == (10, 12)
    assert Whitening(9, shrinkage=0.0)(features, labels)(features).isfinite().all()


def test_individuals_do_not_matter(photos: Photos) -> None:
    features, labels = photos()
    one, other = (Whitening()(features, individuals) for individuals in (labels, labels.flip(0)))
    assert torch.equal(one.matrix, other.matrix)
