"""Clusters under links, against scipy, scikit-learn and a greedy loop."""

from __future__ import annotations

import sys
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score

from siamesekit.errors import UserError
from siamesekit.gallery.clustering import average_linkage, divided, hdbscan
from siamesekit.gallery.links import Links, joined


def distances(count: int, seed: int, dim: int = 3) -> NDArray[np.float32]:
    """Symmetric distances 0 … 1 of random points in some groups, `[count, count]`."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(5, dim))[rng.integers(5, size=count)] * 2 + rng.normal(size=(count, dim))
    found = np.linalg.norm(points[:, None] - points[None], axis=2)
    return (found / found.max()).astype(np.float32)


def greedy(matrix: NDArray[np.float32], links: Links, cut: float) -> list[set[int]]:
    """Average linkage by its definition: the nearest two clusters that no cannot-link separates, again and again."""
    clusters = [set(np.flatnonzero(links.components == each).tolist()) for each in np.unique(links.components)]
    while len(clusters) > 1:
        best = min(
            (
                (np.mean([matrix[i, j] for i in a for j in b]), place, other)
                for (place, a), (other, b) in combinations(enumerate(clusters), 2)
                if not any((i, j) in links.cannot or (j, i) in links.cannot for i in a for j in b)
            ),
            default=(np.inf, 0, 0),
        )
        if best[0] > cut or best[0] == np.inf:
            break
        clusters[best[1]] |= clusters.pop(best[2])
    return clusters


def as_sets(labels: NDArray[np.int64]) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == each).tolist()) for each in np.unique(labels)}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cut", [0.1, 0.3, 0.5])
def test_without_links_the_clusters_and_heights_are_those_of_scipy(seed: int, cut: float) -> None:
    matrix = distances(70, seed)
    tree = linkage(squareform(matrix, checks=False), "average")
    found = average_linkage(matrix, cut=cut)
    assert adjusted_rand_score(fcluster(tree, cut, "distance"), found.labels) == 1
    heights = sorted(far for _, _, far in found.merges)
    np.testing.assert_allclose(heights, tree[tree[:, 2] <= cut, 2], rtol=1e-4)
    whole = average_linkage(matrix, cut=np.inf)
    assert as_sets(whole.cut(cut)) == as_sets(found.labels) and set(whole.labels) == {0}


@pytest.mark.parametrize("seed", range(12))
def test_with_links_the_clusters_are_those_of_the_greedy_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = distances(16, seed)
    must = tuple((int(a), int(b)) for a, b in rng.integers(16, size=(3, 2)) if a != b)
    component = joined(16, must)
    pairs = [(int(a), int(b)) for a, b in rng.integers(16, size=(8, 2)) if component[a] != component[b]]
    links = Links(16, must, tuple(pairs))
    for cut in (0.2, 0.4, np.inf):
        assert as_sets(average_linkage(matrix, links, cut).labels) == {frozenset(s) for s in greedy(matrix, links, cut)}


def test_links_win_over_distances() -> None:
    matrix = np.array([[0, 0.1, 0.9], [0.1, 0, 0.9], [0.9, 0.9, 0]], np.float32)
    assert average_linkage(matrix).labels.tolist() == [0, 0, 2]
    assert average_linkage(matrix, Links(3, cannot=((0, 1),))).labels.tolist() == [0, 1, 2]
    assert average_linkage(matrix, Links(3, must=((0, 2),), cannot=((1, 2),))).labels.tolist() == [0, 1, 0]


def test_a_division_is_the_last_merge() -> None:
    for seed in range(5):
        matrix = distances(20, seed)
        parts = divided(matrix, Links(20))
        tree = linkage(squareform(matrix, checks=False), "average")
        assert parts is not None and parts[1] == pytest.approx(tree[-1, 2], rel=1e-4)
        assert adjusted_rand_score(fcluster(tree, 2, "maxclust"), parts[0]) == 1
    near = np.array([[0, 0.1], [0.1, 0]], np.float32)
    apart = divided(near, Links(2, cannot=((0, 1),)))
    assert apart is not None and apart[1] == np.inf and apart[0].tolist() == [0, 1]
    assert divided(near, Links(2, must=((0, 1),))) is None


@pytest.mark.parametrize("seed", range(4))
def test_hdbscan_is_that_of_scikit_learn_and_noise_is_alone(seed: int) -> None:
    matrix = distances(80, seed)
    np.fill_diagonal(matrix, 0)
    model = HDBSCAN(min_cluster_size=2, metric="precomputed", allow_single_cluster=True, copy=True)
    expected = model.fit_predict(matrix.astype(np.float64))
    expected[expected < 0] = 1000 + np.arange((expected < 0).sum())
    assert as_sets(hdbscan(matrix)) == as_sets(expected)


@pytest.mark.parametrize("seed", range(4))
def test_hdbscan_keeps_links(seed: int) -> None:
    matrix = distances(40, seed)
    together, apart = ((0, 39), (39, 20), (5, 6)), ((1, 2), (3, 4), (0, 5), (7, 8))
    links = Links(40, together, apart)
    labels = hdbscan(matrix, links)
    assert all(labels[a] == labels[b] for a, b in together)
    assert all(labels[a] != labels[b] for a, b in apart)
    assert hdbscan(matrix[:1, :1]).tolist() == [0]


def test_without_scikit_learn_the_command_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(UserError, match=r"pip install 'siamesekit\[cluster\]'"):
        hdbscan(distances(4, 0))
