"""Miner `batch-hard` against a loop and pytorch-metric-learning."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.miners import BatchHardMiner as TheirBatchHardMiner

from siamesekit.distances.euclidean import Euclidean
from siamesekit.miners.batch_hard import BatchHardMiner, batch_hard
from siamesekit.triplets import Triplets


def rows(triplets: Triplets) -> list[tuple[int, ...]]:
    return [tuple(row) for row in torch.stack(list(triplets), 1).tolist()]


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(0, 10_000))
@settings(deadline=None)
def test_equals_the_loop(labels: list[int], seed: int) -> None:
    distances = np.random.default_rng(seed).uniform(size=(len(labels), len(labels)))
    expected = []
    for a, own in enumerate(labels):
        positives = [p for p, label in enumerate(labels) if label == own and p != a]
        negatives = [n for n, label in enumerate(labels) if label != own]
        if positives and negatives:
            farthest = max(positives, key=lambda p: distances[a, p])
            expected.append((a, farthest, min(negatives, key=lambda n: distances[a, n])))
    assert rows(batch_hard(torch.from_numpy(distances), torch.tensor(labels, dtype=torch.int64))) == expected


def test_equals_pytorch_metric_learning() -> None:
    draw = torch.Generator().manual_seed(1)
    embeddings = torch.randn(60, 5, dtype=torch.float64, generator=draw)
    labels = torch.randint(0, 20, (60,), generator=draw)
    theirs = TheirBatchHardMiner(distance=LpDistance(normalize_embeddings=False))(embeddings, labels)
    ours = rows(BatchHardMiner(distance=Euclidean())(embeddings, labels))
    assert len(ours) > 40
    assert ours == list(zip(*(index.tolist() for index in theirs), strict=True))


def test_among_equally_far_ones_one_is_taken_and_it_is_valid() -> None:
    triplets = batch_hard(torch.ones(6, 6), torch.tensor([0, 0, 0, 1, 1, 2]))
    labels = [0, 0, 0, 1, 1, 2]
    assert triplets.anchor.tolist() == [0, 1, 2, 3, 4]
    assert all(a != p and labels[a] == labels[p] != labels[n] for a, p, n in rows(triplets))


@pytest.mark.parametrize("labels", [[], [3], [1, 1, 1], [1, 2, 3]], ids=str)
def test_without_a_triplet_the_indices_are_empty(labels: list[int]) -> None:
    found = batch_hard(torch.ones(len(labels), len(labels)), torch.tensor(labels, dtype=torch.int64))
    assert [index.tolist() for index in found] == [[], [], []]
