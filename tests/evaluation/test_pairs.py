"""Pairs of photos against all combinations, and samples of them against their probabilities."""

import time
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.evaluation.pairs import choose_pairs, pairs_of


def test_pairs_are_all_i_below_j() -> None:
    points, labels = np.array([[0.0], [1], [3], [7]]), np.array([7, 7, 8, 9])
    pairs = pairs_of(torch.from_numpy(points), labels, Euclidean(), np.random.default_rng(0))
    expected = [(abs(points[i, 0] - points[j, 0]), *labels[[i, j]]) for i, j in combinations(range(4), 2)]
    assert list(zip(pairs.distance, pairs.first, pairs.second, strict=True)) == expected
    assert pairs.same.tolist() == [True, False, False, False, False, False]
    assert pairs.total == 6
    assert pairs.among(np.array([7, 9])).distance.tolist() == [1, 7, 6]


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 12), st.integers(2, 800))
@settings(deadline=None)
def test_a_sample_keeps_the_same_pairs_that_fit(seed: int, photos: int, individuals: int, most: int) -> None:
    labels = np.random.default_rng(seed).integers(individuals, size=photos)
    i, j = choose_pairs(labels, np.random.default_rng(seed), most)
    every = set(combinations(range(photos), 2))
    same = {(a, b) for a, b in every if labels[a] == labels[b]}
    chosen = list(zip(i.tolist(), j.tolist(), strict=True))
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= every
    if len(every) <= most:
        assert set(chosen) == every
    else:
        kept = min(len(same), most // 2)
        assert len(set(chosen) & same) == kept
        assert len(chosen) == kept + min(most - kept, len(every) - len(same))


@pytest.mark.medium
@pytest.mark.parametrize("most", [60, 12])
def test_every_pair_of_a_kind_is_drawn_as_often(most: int) -> None:
    """With 60 nearly all are enumerated, with 12 some are drawn until there are enough."""
    labels, draws = np.repeat(np.arange(7), [5, 2, 1, 4, 1, 1, 2]), 4000
    rng, counts = np.random.default_rng(0), np.zeros((16, 16))
    for _ in range(draws):
        i, j = choose_pairs(labels, rng, most)
        counts[i, j] += 1
    i, j = np.triu_indices(16, k=1)
    for kind in (labels[i] == labels[j], labels[i] != labels[j]):
        of_kind = counts[i[kind], j[kind]]
        p = of_kind.mean() / draws
        assert abs(of_kind - of_kind.mean()).max() <= 4.5 * np.sqrt(draws * p * (1 - p)) + 1e-9


@pytest.mark.timeout(20)
@pytest.mark.parametrize("photos", [[4000, 3], [3, 4000], [30_000, 2, 1]], ids=str)
def test_few_different_pairs_among_very_many_are_all_found_at_once(photos: list[int]) -> None:
    """To draw pairs until all the different ones have come would take as long as to collect coupons."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(photos)), photos))
    different = (sum(photos) ** 2 - sum(n**2 for n in photos)) // 2
    start = time.process_time()
    i, j = choose_pairs(labels, np.random.default_rng(0), 2 * different)
    assert time.process_time() - start < 2
    assert (i < j).all()
    assert len(np.unique(i * len(labels) + j)) == 2 * different
    assert (labels[i] != labels[j]).sum() == different


def test_a_sample_is_of_the_distances_of_its_pairs_and_the_seed_s() -> None:
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(5000, 2)), rng.integers(800, size=5000)
    one, again, other = (
        pairs_of(torch.from_numpy(points), labels, Euclidean(), np.random.default_rng(seed), 30_000)
        for seed in (1, 1, 2)
    )
    i, j = choose_pairs(labels, np.random.default_rng(1), 30_000)
    np.testing.assert_allclose(one.distance, np.linalg.norm(points[i] - points[j], axis=1), atol=1e-12)
    np.testing.assert_array_equal(one.same, labels[i] == labels[j])
    assert (one.total, len(one.distance)) == (5000 * 4999 // 2, 30_000)
    np.testing.assert_array_equal(one.distance, again.distance)
    assert not np.array_equal(one.distance, other.distance)
