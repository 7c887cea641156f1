"""Triplets: the order that every unpacking relies on, and the negatives of all pairs."""

from itertools import product

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from siamesekit.triplets import Triplets, all_pairs_triplets, count_triplets, individuals_of, positives_of

Labels = st.lists(st.integers(-3, 3), max_size=12)


def test_unpacks_as_anchor_positive_negative() -> None:
    anchor, positive, negative = Triplets(
        negative=torch.tensor([3]), anchor=torch.tensor([1]), positive=torch.tensor([2])
    )
    assert [index.item() for index in (anchor, positive, negative)] == [1, 2, 3]


def test_negatives_are_uniform_over_the_other_individuals_then_over_their_photos() -> None:
    labels = np.repeat([0, 1, 2], [40, 2, 8])  # 780 pairs of individual 0; its negatives are of 1 and 2
    rows = torch.stack(list(all_pairs_triplets(labels, 40, np.random.default_rng(0))), 1).numpy()
    negatives = rows[labels[rows[:, 0]] == 0, 2]
    share = np.bincount(negatives, minlength=50)[40:] / len(negatives)
    np.testing.assert_allclose(share[:2], 1 / 4, atol=0.05)
    np.testing.assert_allclose(share[2:], 1 / 16, atol=0.03)


def test_no_pair_makes_no_triplet() -> None:
    assert [len(index) for index in all_pairs_triplets(np.arange(3), 10, np.random.default_rng(0))] == [0, 0, 0]


@given(Labels)
def test_an_individuals_photos_stand_in_a_row(labels: list[int]) -> None:
    order, start, size = individuals_of(torch.tensor(labels, dtype=torch.int64))
    for photo, label in enumerate(labels):
        row = order[start[photo] : start[photo] + size[photo]].tolist()
        assert row == [other for other, its in enumerate(labels) if its == label]


@given(Labels)
def test_positives_are_the_other_photos_of_the_individual(labels: list[int]) -> None:
    photos, there = positives_of(torch.tensor(labels, dtype=torch.int64))
    assert photos.shape == there.shape == (len(labels), max(map(labels.count, labels), default=0))
    for photo, label in enumerate(labels):
        others = [other for other, its in enumerate(labels) if its == label and other != photo]
        assert photos[photo][there[photo]].tolist() == others
        assert set(photos[photo][~there[photo]].tolist()) == {photo}


@given(Labels)
def test_triplets_are_counted_as_a_loop_counts_them(labels: list[int]) -> None:
    every = range(len(labels))
    found = sum(a != p and labels[a] == labels[p] != labels[n] for a, p, n in product(every, every, every))
    assert count_triplets(torch.tensor(labels, dtype=torch.int64)) == found
