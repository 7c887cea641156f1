"""Miner `semi-hard` against a loop over positive pairs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import rows_of
from oracles import rank_key, semi_hard_triplets
from siamesekit.components.distances.squared_euclidean import SquaredEuclidean
from siamesekit.components.miners import semi_hard as module
from siamesekit.components.miners.semi_hard import SemiHardMiner, semi_hard


@pytest.fixture(params=[1 << 20, 30], ids=["at once", "in chunks"], autouse=True)
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", request.param)


@pytest.mark.medium
@given(st.lists(st.integers(0, 4), max_size=12), st.integers(0, 10_000), st.sampled_from([4, 10**6]))
@settings(deadline=None)
def test_equals_the_loop(labels: list[int], seed: int, steps: int) -> None:
    """Of few distinct distances, with ties, and of many."""
    distances = np.random.default_rng(seed).integers(0, steps, size=(len(labels), len(labels))) / steps
    found = rows_of(semi_hard(torch.from_numpy(distances), torch.tensor(labels, dtype=torch.int64)))
    assert [(a, p, rank_key(distances[a, n])) for a, p, n in found] == semi_hard_triplets(distances, labels)
    assert all(labels[n] != labels[a] for a, _, n in found)


def test_an_example_on_a_line() -> None:
    """Anchor 0 and positive 1; the negatives 0.5, −1 (a tie, not beyond), 1.5 and −3."""
    embeddings = torch.tensor([[0.0], [1.0], [0.5], [-1.0], [1.5], [-3.0]])
    labels = torch.tensor([0, 0, 1, 2, 3, 4])
    assert rows_of(SemiHardMiner(distance=SquaredEuclidean())(embeddings, labels)) == [(0, 1, 4), (1, 0, 3)]
    near = torch.tensor([[0.0], [9.0], [0.5], [-1.0], [1.5], [-3.0]])  # no negative is beyond: the farthest from 0
    assert rows_of(SemiHardMiner(distance=SquaredEuclidean())(near, labels)) == [(0, 1, 5), (1, 0, 3)]


@pytest.mark.parametrize("labels", [[], [3], [1, 1, 1], [1, 2, 3]], ids=str)
def test_without_a_triplet_the_indices_are_empty(labels: list[int]) -> None:
    found = semi_hard(torch.ones(len(labels), len(labels)), torch.tensor(labels, dtype=torch.int64))
    assert [index.tolist() for index in found] == [[], [], []]


def test_distances_that_are_not_finite_stay_in_range() -> None:
    """What follows, the loss, is not finite then and says so."""
    found = semi_hard(torch.full((4, 4), torch.nan), torch.tensor([0, 0, 1, 1]))
    assert all(0 <= index < 4 for row in rows_of(found) for index in row)
