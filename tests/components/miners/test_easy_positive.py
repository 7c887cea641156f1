"""Miner `easy-positive` against a loop and pytorch-metric-learning."""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.miners import BatchEasyHardMiner

from helpers import rows_of
from oracles import easy_positive_triplets, is_triplet
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.miners.easy_positive import EasyPositiveMiner, Negatives, easy_positive

NEGATIVES = get_args(Negatives)


@pytest.mark.medium
@pytest.mark.parametrize("kind", NEGATIVES)
@given(st.lists(st.integers(0, 4), max_size=12), st.integers(0, 10_000), st.floats(-2, 0))
@settings(deadline=None)
def test_equals_the_loop(kind: Negatives, labels: list[int], seed: int, shift: float) -> None:
    """Distances of either sign, none of them twice."""
    count = len(labels)
    distances = np.random.default_rng(seed).permutation(count**2).reshape(count, count) / max(1, count) ** 2 * 2 + shift
    found = rows_of(easy_positive(torch.from_numpy(distances), torch.tensor(labels, dtype=torch.int64), kind))
    assert found == easy_positive_triplets(distances, labels, kind)


@pytest.mark.medium
@pytest.mark.parametrize("kind", NEGATIVES)
@given(st.lists(st.integers(0, 3), max_size=10), st.integers(0, 10_000))
@settings(deadline=None)
def test_among_equally_far_ones_one_is_taken(kind: Negatives, labels: list[int], seed: int) -> None:
    """Few distinct distances: the anchors, and how far their photos are, are the loop's."""
    distances = np.random.default_rng(seed).integers(0, 3, size=(len(labels), len(labels))) / 2
    found = rows_of(easy_positive(torch.from_numpy(distances), torch.tensor(labels, dtype=torch.int64), kind))
    expected = easy_positive_triplets(distances, labels, kind)
    assert [(a, distances[a, p], distances[a, n]) for a, p, n in found] == [
        (a, distances[a, p], distances[a, n]) for a, p, n in expected
    ]
    assert all(is_triplet(labels, *row) for row in found)


@pytest.mark.parametrize(("kind", "theirs"), [("hard", "hard"), ("semi-hard", "semihard"), ("easy", "easy")])
def test_equals_pytorch_metric_learning(kind: Negatives, theirs: str) -> None:
    draw = torch.Generator().manual_seed(1)
    embeddings = torch.randn(60, 5, dtype=torch.float64, generator=draw)
    labels = torch.randint(0, 20, (60,), generator=draw)
    plain = LpDistance(normalize_embeddings=False)
    anchor, positive, _, negative = BatchEasyHardMiner("easy", theirs, distance=plain)(embeddings, labels)
    ours = rows_of(EasyPositiveMiner(kind, distance=Euclidean())(embeddings, labels))
    assert len(ours) > 35
    assert ours == list(zip(anchor.tolist(), positive.tolist(), negative.tolist(), strict=True))


def test_an_anchor_without_a_semi_hard_negative_has_no_triplet() -> None:
    """On a line: 0 and 9 are one individual, and all others lie between; from 9 the photo at −1 is beyond 0."""
    embeddings = torch.tensor([[0.0], [9.0], [4.0], [-1.0]])
    labels = torch.tensor([0, 0, 1, 2])
    assert rows_of(EasyPositiveMiner("semi-hard", distance=Euclidean())(embeddings, labels)) == [(1, 0, 3)]
    assert rows_of(EasyPositiveMiner("hard", distance=Euclidean())(embeddings, labels)) == [(0, 1, 3), (1, 0, 2)]


@pytest.mark.parametrize("kind", NEGATIVES)
@pytest.mark.parametrize("labels", [[], [3], [1, 1, 1], [1, 2, 3]], ids=str)
def test_without_a_triplet_the_indices_are_empty(kind: Negatives, labels: list[int]) -> None:
    found = easy_positive(torch.ones(len(labels), len(labels)), torch.tensor(labels, dtype=torch.int64), kind)
    assert [index.tolist() for index in found] == [[], [], []]


@pytest.mark.parametrize("kind", NEGATIVES)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf], ids=str)
def test_distances_that_are_not_finite_give_valid_triplets_or_none(kind: Negatives, value: float) -> None:
    """What follows, the loss, is not finite then and says so; without a triplet it would not."""
    labels = [0, 1, 0, 1, 0]
    found = rows_of(easy_positive(torch.full((5, 5), value), torch.tensor(labels), kind))
    assert all(is_triplet(labels, *row) for row in found)
    assert len(found) == 5 or (kind, np.isinf(value)) == ("semi-hard", True)
