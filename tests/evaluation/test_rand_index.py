"""The adjusted Rand index and its interval, against scikit-learn and against pairs counted one by one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from siamesekit.errors import ComponentError
from siamesekit.evaluation.intervals import Bootstrap
from siamesekit.evaluation.rand_index import _Counts, adjusted_rand_index, found_count

BOOTSTRAP = Bootstrap(0.9, 400, 3)


@pytest.mark.parametrize("seed", range(6))
def test_the_index_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(8, size=60)
    clusters = np.where(rng.random(60) < 0.3, rng.integers(10, size=60), labels)
    found = adjusted_rand_index(clusters, labels, BOOTSTRAP)
    assert found.value == pytest.approx(adjusted_rand_score(labels, clusters))
    assert found.low is not None and found.high is not None and found.low <= found.value <= found.high


def test_equal_and_single_partitions_have_the_index_of_scikit_learn() -> None:
    for labels, clusters in (([0, 0, 1, 1], [5, 5, 3, 3]), ([0, 1, 2], [0, 1, 2]), ([0, 0, 1, 1], [0, 0, 0, 0])):
        assert adjusted_rand_index(clusters, labels, BOOTSTRAP).value == adjusted_rand_score(labels, clusters)


def test_a_resample_counts_pairs_but_none_of_an_individuals_copies() -> None:
    rng = np.random.default_rng(1)
    labels, clusters, weights = rng.integers(5, size=25), rng.integers(4, size=25), np.array([2, 0, 1, 3, 1])
    photos = [(own, copy, clusters[n]) for n, own in enumerate(labels) for copy in range(weights[own])]
    pairs = np.zeros((2, 2))
    for (own, copy, cluster), (other, its_copy, its_cluster) in combinations(photos, 2):
        if own != other or copy == its_copy:
            pairs[int(own == other), int(cluster == its_cluster)] += 1
    (apart, joined), (split, together) = pairs
    index = 2 * (together * apart - split * joined)
    index /= (together + split) * (split + apart) + (together + joined) * (joined + apart)
    assert _Counts(clusters, labels).index(weights) == pytest.approx(index)


def test_the_interval_covers_the_index_of_more_individuals() -> None:
    rng = np.random.default_rng(0)

    def drawn(individuals: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(individuals), 4)
        return np.where(rng.random(len(labels)) < 0.25, labels + individuals, labels), labels

    clusters, labels = drawn(3000)
    truth = adjusted_rand_score(labels, clusters)
    covered = 0
    for _ in range(60):
        found = adjusted_rand_index(*drawn(80), BOOTSTRAP)
        assert found.low is not None and found.high is not None
        covered += found.low <= truth <= found.high
    assert 48 <= covered <= 59  # of a 90 % interval


def test_the_clusters_are_counted_by_their_individuals() -> None:
    labels, clusters = np.repeat(np.arange(20), 3), np.repeat(np.arange(30), 2)
    found = found_count(clusters, labels, BOOTSTRAP)
    assert found.value == pytest.approx(30) and found.low is not None and found.high is not None
    assert found.low <= 30 <= found.high
    whole = found_count(labels, labels, BOOTSTRAP)
    assert (whole.value, whole.low, whole.high) == pytest.approx((20, 20, 20))
    assert found_count([1, 2], ["a", "a"], BOOTSTRAP) == (2.0, None, None)


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ComponentError, match="need one length above 0: 2 and 3"):
        adjusted_rand_index([0, 1], [0, 1, 2], BOOTSTRAP)
