"""Miner `batch-hard` against a loop and pytorch-metric-learning."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.miners import BatchHardMiner as TheirBatchHardMiner

from helpers import rows_of
from oracles import batch_hard_triplets, is_triplet
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.miners.batch_hard import BatchHardMiner, batch_hard


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(0, 10_000))
@settings(deadline=None)
def test_equals_the_loop(labels: list[int], seed: int) -> None:
    distances = np.random.default_rng(seed).uniform(size=(len(labels), len(labels)))
    expected = batch_hard_triplets(distances, labels)
    assert rows_of(batch_hard(torch.from_numpy(distances), torch.tensor(labels, dtype=torch.int64))) == expected


def test_equals_pytorch_metric_learning() -> None:
    draw = torch.Generator().manual_seed(1)
    embeddings = torch.randn(60, 5, dtype=torch.float64, generator=draw)
    labels = torch.randint(0, 20, (60,), generator=draw)
    theirs = TheirBatchHardMiner(distance=LpDistance(normalize_embeddings=False))(embeddings, labels)
    ours = rows_of(BatchHardMiner(distance=Euclidean())(embeddings, labels))
    assert len(ours) > 40
    assert ours == list(zip(*(index.tolist() for index in theirs), strict=True))


def test_among_equally_far_ones_one_is_taken_and_it_is_valid() -> None:
    triplets = batch_hard(torch.ones(6, 6), torch.tensor([0, 0, 0, 1, 1, 2]))
    labels = [0, 0, 0, 1, 1, 2]
    assert triplets.anchor.tolist() == [0, 1, 2, 3, 4]
    assert all(is_triplet(labels, *row) for row in rows_of(triplets))


@pytest.mark.parametrize("labels", [[], [3], [1, 1, 1], [1, 2, 3]], ids=str)
def test_without_a_triplet_the_indices_are_empty(labels: list[int]) -> None:
    found = batch_hard(torch.ones(len(labels), len(labels)), torch.tensor(labels, dtype=torch.int64))
    assert [index.tolist() for index in found] == [[], [], []]
