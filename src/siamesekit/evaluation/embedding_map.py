"""Embeddings on a plane: principal components, and t-SNE and UMAP if their packages are installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Plane = NDArray[np.float64]
FEWEST = 10
"""Fewest photos for t-SNE and UMAP; both look at the neighbours of each photo."""
PERPLEXITY, STEPS = 30.0, 500
"""Of t-SNE; the package's default of 1000 steps takes twice as long for the same picture."""
NEIGHBOURS = 15
"""Of UMAP."""
PACKAGES = {"t-SNE": "sklearn", "UMAP": "umap"}
"""The package of each method that is not always there."""


class PlanarMap(NamedTuple):
    """Places of embeddings on a plane.

    Attributes:
        method: `PCA`, `t-SNE` or `UMAP`.
        places: `[N, 2]`, 0 … 1 in both directions, with the same scale.
        explained: share of the variance that the plane shows; None except for PCA.
    """

    method: str
    places: Plane
    explained: float | None = None


def principal_components(embeddings: Tensor) -> tuple[Plane, float]:
    """The first two principal components of embeddings `[N, D]`, `[N, 2]`, and their share of the variance.

    The sign of a component is free: the largest entry of its direction is positive.

    >>> places, explained = principal_components(torch.tensor([[0.0, 1.0], [3.0, 1.0], [6.0, 1.0]]))
    >>> places[:, 0], explained
    (array([-3.,  0.,  3.]), 1.0)
    """
    centred = embeddings.detach().cpu().double()
    centred = centred - centred.mean(dim=0)
    left, values, right = torch.linalg.svd(centred, full_matrices=False)
    largest = right.abs().argmax(dim=1, keepdim=True)
    places = left * values * right.gather(1, largest).sign().T
    variance = values.square()
    total = float(variance.sum())
    plane = torch.zeros(len(centred), 2, dtype=torch.float64)
    plane[:, : min(2, places.shape[1])] = places[:, :2]
    return plane.numpy(), float(variance[:2].sum()) / total if total > 0 else 1.0


def installed_methods() -> list[str]:
    """The methods whose packages are installed: `PCA`, and `t-SNE` (scikit-learn) and `UMAP` (umap-learn)."""
    return ["PCA", *(method for method, package in PACKAGES.items() if find_spec(package) is not None)]


def planar_map(method: str, embeddings: Tensor, seed: int) -> PlanarMap:
    """Map finite embeddings `[N, D]` by Euclidean distance.

    Args:
        method: one of `installed_methods`; t-SNE and UMAP need `FEWEST` photos.
        embeddings: embeddings of the photos.
        seed: seed of t-SNE and UMAP.
    """
    plane, explained = principal_components(embeddings)
    if method == "PCA":
        return PlanarMap(method, in_square(plane), explained)
    points = embeddings.detach().cpu().float().numpy()
    return PlanarMap(method, in_square((_tsne if method == "t-SNE" else _umap)(points, plane, seed)))


def _tsne(points: NDArray[np.float32], plane: Plane, seed: int) -> NDArray[np.float32]:
    """t-SNE (van der Maaten, Hinton 2008), from the principal components."""
    from sklearn.manifold import TSNE

    spread = plane[:, 0].std()
    start = (1e-4 * plane / spread if spread > 0 else plane).astype(np.float32)
    tsne = TSNE(perplexity=min(PERPLEXITY, (len(points) - 1) / 3), init=start, random_state=seed, n_jobs=1)
    steps = "max_iter" if "max_iter" in tsne.get_params() else "n_iter"  # its name before scikit-learn 1.5
    places: NDArray[np.float32] = tsne.set_params(**{steps: STEPS}).fit_transform(points)
    return places


def _umap(points: NDArray[np.float32], _: Plane, seed: int) -> NDArray[np.float32]:
    """UMAP (McInnes, Healy, Melville 2018)."""
    from umap import UMAP

    umap = UMAP(n_neighbors=min(NEIGHBOURS, len(points) - 1), random_state=seed, n_jobs=1)
    places: NDArray[np.float32] = umap.fit_transform(points)
    return places


def in_square(places: NDArray[np.floating]) -> Plane:
    """Places `[N, 2]` moved and scaled into the square 0 … 1, with the same scale in both directions."""
    places = np.asarray(places, dtype=np.float64)
    low, high = places.min(axis=0), places.max(axis=0)
    size = float((high - low).max())
    middle: Plane = (places - (low + high) / 2) / (size if size > 0 else 1.0) + 0.5
    return middle
