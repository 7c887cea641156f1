"""Triplets that are drawn: their negatives, and how often each pair comes."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from siamesekit.components.samplers.triplets import all_pairs_triplets, pair_of, random_triplets


def test_negatives_are_uniform_over_the_other_individuals_then_over_their_photos() -> None:
    labels = np.repeat([0, 1, 2], [40, 2, 8])  # 780 pairs of individual 0; its negatives are of 1 and 2
    rows = torch.stack(list(all_pairs_triplets(labels, 40, np.random.default_rng(0))), 1).numpy()
    negatives = rows[labels[rows[:, 0]] == 0, 2]
    share = np.bincount(negatives, minlength=50)[40:] / len(negatives)
    np.testing.assert_allclose(share[:2], 1 / 4, atol=0.05)
    np.testing.assert_allclose(share[2:], 1 / 16, atol=0.03)


@pytest.mark.parametrize("labels", [[], [3], [5, 5, 5]], ids=["nobody", "one photo", "one individual"])
def test_without_a_negative_there_is_no_triplet(labels: list[int]) -> None:
    found = all_pairs_triplets(np.array(labels, dtype=np.int64), 10, np.random.default_rng(0))
    assert [index.tolist() for index in found] == [[], [], []]
    assert {index.dtype for index in found} == {torch.int64}


def test_no_pair_makes_no_triplet() -> None:
    assert [len(index) for index in all_pairs_triplets(np.arange(3), 10, np.random.default_rng(0))] == [0, 0, 0]


@given(st.lists(st.integers(1, 7), min_size=2, max_size=6), st.integers(0, 99), st.integers(0, 90))
def test_random_triplets_are_valid_and_pairs_come_equally_often(counts: list[int], seed: int, count: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)) * 3 - 4, counts))
    pairs = [(i, j) for i, j in combinations(range(len(labels)), 2) if labels[i] == labels[j]]
    found = random_triplets(labels, count, np.random.default_rng(seed))
    rows = torch.stack(list(found), 1).tolist()
    assert len(rows) == ((count or len(pairs)) if pairs else 0)
    for anchor, positive, negative in rows:
        assert anchor != positive
        assert labels[anchor] == labels[positive] != labels[negative]
    often = Counter(tuple(sorted(row[:2])) for row in rows)
    for pair in pairs:
        assert len(rows) // len(pairs) <= often[pair] <= -(-len(rows) // len(pairs))


def test_random_triplets_draw_pairs_sides_and_negatives_uniformly() -> None:
    """40,000 triplets of 780 + 1 + 28 pairs; the negatives as those of `all_pairs_triplets`."""
    labels = np.repeat([0, 1, 2], [40, 2, 8])
    drawn = [random_triplets(labels, 100, np.random.default_rng(seed)) for seed in range(400)]
    anchor, positive, negative = (torch.cat([each[i] for each in drawn]).numpy() for i in range(3))
    np.testing.assert_allclose((anchor < positive).mean(), 0.5, atol=0.015)
    share = np.bincount(labels[anchor], minlength=3) / len(anchor)
    np.testing.assert_allclose(share, np.array([780, 1, 28]) / 809, atol=0.004)
    of_first = np.bincount(negative[labels[anchor] == 0], minlength=50)[40:] / (labels[anchor] == 0).sum()
    np.testing.assert_allclose(of_first, [1 / 4] * 2 + [1 / 16] * 8, atol=0.01)


def test_random_triplets_of_a_huge_individual_need_no_list_of_its_pairs() -> None:
    """200,000 photos make 2 · 10^10 pairs, whose numbers would be 160 GB."""
    labels = np.r_[np.zeros(200_000, dtype=np.int64), 1]
    anchor, positive, negative = random_triplets(labels, 10, np.random.default_rng(0))
    assert len(set(zip(anchor.tolist(), positive.tolist(), strict=True))) == 10
    assert set(negative.tolist()) == {200_000}


def test_random_triplets_without_a_pair_or_a_negative_are_none() -> None:
    for labels in ([], [0, 1, 2], [5, 5, 5]):
        found = random_triplets(np.array(labels, dtype=np.int64), 7, np.random.default_rng(0))
        assert [index.tolist() for index in found] == [[], [], []]


def test_pairs_are_numbered_column_by_column() -> None:
    expected = [(i, j) for j in range(60) for i in range(j)]
    assert list(zip(*(index.tolist() for index in pair_of(np.arange(len(expected)))), strict=True)) == expected
    huge = np.array([2**25 * (2**25 - 1) // 2 - 1, 2**25 * (2**25 - 1) // 2])
    i, j = pair_of(huge)
    assert ((i >= 0) & (i < j)).all()
    assert [int(b) * (int(b) - 1) // 2 + int(a) for a, b in zip(i, j, strict=True)] == huge.tolist()
