"""Cluster photos by pairwise distances 0 … 1, under links that a person has decided.

Average linkage is computed by the nearest-neighbour chain (Murtagh 1983) in O(N²) time. The distance between clusters
that a cannot-link separates is infinite. With it, average linkage stays reducible: a merge brings no cluster nearer to
a third one than both parts were. So the chain finds the same clusters as the greedy algorithm, and a cluster whose
nearest neighbour is beyond the cut is final.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from siamesekit.errors import UserError
from siamesekit.gallery.links import Links, groups_of, joined

Matrix = NDArray[np.float32]
Floating = TypeVar("Floating", Matrix, NDArray[np.float64])
CUT = 0.5
"""Largest mean distance at which clusters are joined by default."""
SMALLEST = 2
"""Fewest photos of a cluster of HDBSCAN; other photos are clusters of one."""


@dataclass(frozen=True)
class Agglomeration:
    """Clusters by average linkage.

    Attributes:
        labels: cluster of each photo, int64 `[N]`: the smallest index of its photos.
        merges: merges of clusters: a photo of each and their mean distance; must-links are none.
    """

    labels: NDArray[np.int64]
    merges: tuple[tuple[int, int, float], ...]

    def cut(self, most: float) -> NDArray[np.int64]:
        """The clusters that a smaller cut gives without must-links, int64 `[N]`: merges up to this mean distance."""
        return joined(len(self.labels), [(a, b) for a, b, far in self.merges if far <= most])


def average_linkage(distances: Matrix, links: Links | None = None, cut: float = CUT) -> Agglomeration:
    """Join clusters while their mean distance is at most the cut, the nearest first.

    Must-linked photos are joined first, and clusters with a cannot-link between them never.

    Args:
        distances: symmetric distances `[N, N]`; the diagonal does not count. They are copied.
        links: links among the photos, without contradictions.
        cut: largest mean distance at which clusters are joined; infinity: join all that links allow.
    """
    count = len(distances)
    links = links or Links(count)
    chain = _Chain(distances, links)
    merges = chain.run(cut)
    return Agglomeration(joined(count, [*links.must, *((a, b) for a, b, _ in merges)]), tuple(merges))


def divided(distances: Matrix, links: Links) -> tuple[NDArray[np.int64], float] | None:
    """Divide photos into two by average linkage, as the last merge would join them.

    Args:
        distances: symmetric distances `[N, N]`.
        links: links among the photos.

    Returns:
        Part of each photo, int64 `[N]`, and the mean distance between the parts: infinite, possibly with more than two
        parts, if cannot-links separate them. None if must-links join all photos.
    """
    whole = average_linkage(distances, links, np.inf)
    if len(np.unique(whole.labels)) > 1:
        return whole.labels, np.inf
    if not whole.merges:
        return None
    last = max(range(len(whole.merges)), key=lambda number: whole.merges[number][2])
    kept = [(a, b) for number, (a, b, _) in enumerate(whole.merges) if number != last]
    return joined(len(distances), [*links.must, *kept]), whole.merges[last][2]


def require_hdbscan() -> None:
    """Check, before any work, that HDBSCAN can be used.

    Raises:
        UserError: scikit-learn is not installed, or it is older than 1.3.
    """
    try:
        from sklearn.cluster import HDBSCAN  # noqa: F401
    except ImportError:
        raise UserError("--method hdbscan needs scikit-learn: pip install 'siamesekit[cluster]'") from None


def hdbscan(distances: Matrix, links: Links | None = None) -> NDArray[np.int64]:
    """Clusters by HDBSCAN of scikit-learn, int64 `[N]`: the smallest index of the photos; noise is a cluster of one.

    HDBSCAN knows no links. So the distance of must-linked photos is set to 0 and that of cannot-linked ones to 1
    beforehand. Afterwards, must-linked photos move to the cluster that has most of them, and a cluster with a
    cannot-link is divided by average linkage.

    Args:
        distances: symmetric distances `[N, N]`, 0 … 1. They are copied.
        links: links among the photos, without contradictions.

    Raises:
        UserError: scikit-learn is missing.
    """
    require_hdbscan()
    from sklearn.cluster import HDBSCAN

    links = links or Links(len(distances))
    if len(distances) < SMALLEST:
        return np.arange(len(distances))
    linked = with_links(distances.astype(np.float64), links)
    np.fill_diagonal(linked, 0)
    model = HDBSCAN(min_cluster_size=SMALLEST, metric="precomputed", allow_single_cluster=True, copy=False)
    found = model.fit_predict(linked).astype(np.int64)
    del linked
    noise = found < 0
    found[noise] = found.max() + 1 + np.arange(noise.sum())
    for component in links.members():
        found[component] = np.bincount(found[component]).argmax()
    labels = np.empty(len(found), np.int64)
    for members in groups_of(found):
        own = links.among(members)
        parts = average_linkage(distances[np.ix_(members, members)], own, np.inf).labels if own.cannot else 0
        labels[members] = members[parts]
    return labels


def with_links(values: Floating, links: Links, same: float = 0.0, different: float = 1.0) -> Floating:
    """Set the values `[N, N]` of must-linked photos and those of cannot-linked ones, in place."""
    for members in links.members():
        values[np.ix_(members, members)] = same
    for first, second in links.cannot_blocks():
        values[np.ix_(first, second)] = different
        values[np.ix_(second, first)] = different
    return values


class _Chain:
    """The nearest-neighbour chain: each cluster is followed by its nearest one until two are each other's nearest.

    Args:
        distances: symmetric distances `[N, N]`.
        links: links among the photos.
    """

    def __init__(self, distances: Matrix, links: Links) -> None:
        self.distances = distances.astype(np.float32)
        np.fill_diagonal(self.distances, np.inf)
        for a, b in links.cannot:
            self.distances[a, b] = self.distances[b, a] = np.inf
        self.size = np.ones(len(distances), np.int64)
        for members in links.members():
            for other in members[1:]:
                self._merge(int(members[0]), int(other))

    def run(self, cut: float) -> list[tuple[int, int, float]]:
        """The merges up to the cut, each with the mean distance; the order is the chain's.

        Clusters before `start` are final, so all others of a chain come later, and have their own turn.
        """
        merges: list[tuple[int, int, float]] = []
        for start in range(len(self.distances)):
            chain = [start] if self.size[start] else []
            while chain:
                row = self.distances[chain[-1]]
                nearest = int(row.argmin())
                if len(chain) > 1 and row[chain[-2]] <= row[nearest]:
                    nearest = chain[-2]
                far = float(row[nearest])
                if far > cut or far == np.inf:
                    chain.pop()  # nothing will come nearer: the cluster is final
                elif len(chain) > 1 and nearest == chain[-2]:
                    merged, kept = chain.pop(), chain.pop()
                    self._merge(kept, merged)
                    merges.append((kept, merged, far))
                    chain = chain or [kept]
                else:
                    chain.append(nearest)
        return merges

    def _merge(self, kept: int, merged: int) -> None:
        """Give a cluster's photos to another one, by the formula of Lance and Williams for average linkage."""
        first, second = self.size[kept], self.size[merged]
        mean = (first * self.distances[kept] + second * self.distances[merged]) / (first + second)
        mean[[kept, merged]] = np.inf
        self.distances[kept] = self.distances[:, kept] = mean
        self.distances[merged] = self.distances[:, merged] = np.inf
        self.size[kept], self.size[merged] = first + second, 0
