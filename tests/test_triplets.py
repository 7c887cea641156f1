"""Triplets: the order that every unpacking relies on, and the negatives of all pairs."""

import numpy as np
import torch

from siamesekit.triplets import Triplets, all_pairs_triplets


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
