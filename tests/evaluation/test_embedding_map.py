"""Embeddings on a plane: principal components against scikit-learn's, and the maps of other packages."""

import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from conftest import embeddings
from siamesekit.evaluation.embedding_map import in_square, installed_methods, planar_map, principal_components

LABELS = np.repeat(np.arange(5), 8)


def test_principal_components_are_scikit_learns_up_to_their_signs() -> None:
    points = embeddings(LABELS).double()
    places, explained = principal_components(points)
    pca = PCA(2).fit(points.numpy())
    expected = pca.transform(points.numpy())
    np.testing.assert_allclose(np.abs(places), np.abs(expected), atol=1e-9)
    assert explained == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-12)


@pytest.mark.parametrize("points", [torch.ones(4, 3), torch.tensor([[1.0], [2.0], [4.0]]), torch.eye(3)])
def test_few_dimensions_and_equal_embeddings_have_places_too(points: torch.Tensor) -> None:
    made = planar_map("PCA", points, 0)
    assert made.places.shape == (len(points), 2)
    assert np.isfinite(made.places).all()
    assert (made.places >= 0).all() and (made.places <= 1).all()


def test_a_map_keeps_its_scale_and_fills_the_square_in_one_direction() -> None:
    found = in_square(np.array([[-2.0, 10.0], [2.0, 10.0], [0.0, 11.0]]))
    np.testing.assert_allclose(found, [[0, 0.375], [1, 0.375], [0.5, 0.625]])


@pytest.mark.slow
@pytest.mark.parametrize("count", [10, 40])
def test_t_sne_keeps_near_photos_near_and_repeats(count: int) -> None:
    points = embeddings(LABELS)[:count]
    made = planar_map("t-SNE", points, 3)
    assert made.explained is None
    assert trustworthiness(points.numpy(), made.places, n_neighbors=4) > 0.8
    np.testing.assert_array_equal(made.places, planar_map("t-SNE", points, 3).places)


def test_umap_is_asked_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for umap-learn, which takes the options that it has."""
    asked = {}

    class UMAP:
        def __init__(self, n_neighbors: int, random_state: int, n_jobs: int) -> None:
            asked.update(n_neighbors=n_neighbors, random_state=random_state, n_jobs=n_jobs)

        def fit_transform(self, points: np.ndarray) -> np.ndarray:
            return points[:, :2]

    module = ModuleType("umap")
    module.UMAP = UMAP  # type: ignore[attr-defined]
    module.__spec__ = sys.__spec__
    monkeypatch.setitem(sys.modules, "umap", module)
    assert installed_methods() == ["PCA", "t-SNE", "UMAP"]
    points = embeddings(LABELS)[:12]
    np.testing.assert_allclose(planar_map("UMAP", points, 5).places, in_square(points[:, :2].numpy()))
    assert asked == {"n_neighbors": 11, "random_state": 5, "n_jobs": 1}


def test_methods_without_their_package_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siamesekit.evaluation.embedding_map.find_spec", lambda name: None)
    assert installed_methods() == ["PCA"]
