"""Projection `lda` against scikit-learn, and against the generalized eigenvalue problem of SciPy."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis as TheirLDA
from torch import Tensor

from siamesekit import PROJECTIONS, LinearDiscriminantAnalysis
from siamesekit.components.projections.covariance import classes_of, within_covariance
from siamesekit.errors import ComponentError, DataError

Photos = Callable[..., tuple[Tensor, Tensor]]


@pytest.mark.filterwarnings("ignore:Only one sample available")
def test_without_shrinkage_the_directions_are_those_of_scikit_learn(photos: Photos) -> None:
    features, labels = photos()
    fitted = LinearDiscriminantAnalysis(dimensions=4, shrinkage=0.0)(features, labels)
    theirs = TheirLDA(solver="eigen", n_components=4).fit(features.numpy(), labels.numpy())
    ours, expected = fitted(features).numpy(), theirs.transform(features.numpy())
    expected = expected - expected.mean(0)
    scale = np.sqrt((60 - 7) / 60)  # scikit-learn divides by N, not by N − C
    signs = np.sign((ours * expected).sum(0))
    np.testing.assert_allclose(ours, expected * scale * signs, atol=1e-10)


@pytest.mark.parametrize("shrinkage", [0.2, 1.0, "auto"])
def test_shrunk_directions_solve_the_generalized_eigenvalue_problem(photos: Photos, shrinkage: float | str) -> None:
    features, labels = photos()
    classes = classes_of(features, labels)
    within = within_covariance(features, classes, shrinkage).numpy()
    between = np.zeros((5, 5))
    for label in range(7):
        apart = (features[labels == label].mean(0) - features.mean(0)).numpy()
        between += (labels == label).sum().item() / 60 * np.outer(apart, apart)
    _, vectors = scipy.linalg.eigh(between, within)
    expected = vectors[:, ::-1][:, :3]
    found = LinearDiscriminantAnalysis(3, shrinkage)(features, labels)
    torch.testing.assert_close(found.mean, features.mean(0))
    signs = np.sign((found.matrix.numpy() * expected).sum(0))
    np.testing.assert_allclose(found.matrix.numpy(), expected * signs, atol=1e-9)


def test_fewer_photos_than_features_need_shrinkage(photos: Photos) -> None:
    features, labels = photos(count=30, width=40)
    with pytest.raises(DataError, match=r"vary in 23 of the 40 directions .*: set projection\.shrinkage above 0"):
        LinearDiscriminantAnalysis(shrinkage=0.0)(features, labels)
    fitted = LinearDiscriminantAnalysis()(features, labels)
    assert fitted.matrix.shape == (40, 6)
    assert fitted.matrix.isfinite().all()


def test_the_width_is_at_most_the_individuals_minus_one() -> None:
    projection = LinearDiscriminantAnalysis(dimensions=128)
    assert [projection.width(1280, 200), projection.width(1280, 94), projection.width(16, 94)] == [128, 93, 16]
    with pytest.raises(DataError, match="at least two training individuals, not 1"):
        projection(torch.randn(5, 3), torch.zeros(5, dtype=torch.int64))


@pytest.mark.parametrize("shrinkage", [-0.1, 1.5, "much"])
def test_a_shrinkage_that_is_none_is_refused(shrinkage: float | str) -> None:
    with pytest.raises(ComponentError, match=r"shrinkage: must be"):
        PROJECTIONS.build("lda", shrinkage=shrinkage)
