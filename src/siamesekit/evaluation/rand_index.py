"""Agreement of clusters with labels: the adjusted Rand index, with a bootstrap interval over individuals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from siamesekit.components.labels import Labels, label_array
from siamesekit.errors import ComponentError
from siamesekit.evaluation.intervals import Bootstrap, Floats, Interval, interval
from siamesekit.randomness import generator


def adjusted_rand_index(clusters: Labels, individuals: Labels, bootstrap: Bootstrap) -> Interval:
    """The adjusted Rand index (Hubert and Arabie 1985): 1 for equal partitions, about 0 for random clusters.

    It counts pairs of photos that are together or apart in both. The bootstrap draws whole individuals with
    replacement, and leaves out pairs of one individual's copies.

    Args:
        clusters: cluster of each photo, `[N]`.
        individuals: individual of each photo, `[N]`.
        bootstrap: how the interval is computed.
    """
    counts = _Counts(clusters, individuals)
    several = len(counts.photos)
    rng = generator(bootstrap.seed, "bootstrap")

    def resampled() -> Floats:
        drawn = rng.multinomial(several, np.full(several, 1 / several), size=bootstrap.resamples)
        return np.array([counts.index(weights) for weights in drawn])

    return interval(counts.index(np.ones(several, np.int64)), resampled, several, bootstrap.confidence)


def found_count(clusters: Labels, individuals: Labels, bootstrap: Bootstrap) -> Interval:
    """Number of clusters, with an interval over individuals.

    Each photo counts as 1/n of its cluster of n photos, so the sum over an individual's photos is the number of
    clusters that it brings; the interval is that of the mean, times the number of individuals.

    Args:
        clusters: cluster of each photo, `[N]`.
        individuals: individual of each photo, `[N]`.
        bootstrap: how the interval is computed.
    """
    counts = _Counts(clusters, individuals)
    brought: Floats = np.bincount(counts.owner, 1 / np.bincount(counts.cluster)[counts.cluster]).astype(np.float64)
    mean = bootstrap.mean(brought, np.arange(len(brought)))
    return Interval(*(None if bound is None else bound * len(brought) for bound in mean))  # type: ignore[arg-type]


class _Counts:
    """Numbers of photos by individual and cluster.

    Args:
        clusters: cluster of each photo, `[N]`.
        individuals: individual of each photo, `[N]`.
    """

    def __init__(self, clusters: Labels, individuals: Labels) -> None:
        found, labels = label_array(clusters), label_array(individuals)
        if len(found) != len(labels) or not len(labels):
            raise ComponentError(f"clusters and individuals need one length above 0: {len(found)} and {len(labels)}")
        _, self.cluster = np.unique(found, return_inverse=True)
        _, self.owner = np.unique(labels, return_inverse=True)
        self.photos = np.bincount(self.owner)
        cells, cell_photos = np.unique(np.stack([self.owner, self.cluster]), axis=1, return_counts=True)
        self.cell_owner, self.cell_cluster, self.cell_photos = cells[0], cells[1], cell_photos
        self.squares = np.bincount(self.cell_owner, cell_photos**2.0)

    def index(self, weights: NDArray[np.int64]) -> float:
        """The index for individuals drawn so many times, int64 `[I]`, without pairs of an individual's copies."""
        together = (weights * (self.squares - self.photos)).sum() / 2
        same = (weights * self.photos * (self.photos - 1)).sum() / 2
        in_cluster = np.bincount(self.cell_cluster, weights[self.cell_owner] * self.cell_photos)
        others = ((in_cluster**2).sum() - (weights**2 * self.squares).sum()) / 2
        different = ((weights * self.photos).sum() ** 2.0 - (weights**2 * self.photos**2.0).sum()) / 2
        apart, right = same - together, different - others
        if not apart and not others:
            return 1.0
        expected = (together + apart) * (apart + right) + (together + others) * (others + right)
        return float(2 * (together * right - apart * others) / expected)
