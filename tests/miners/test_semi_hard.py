"""Miner `semi-hard` against a loop over positive pairs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siamesekit.distances.squared_euclidean import SquaredEuclidean
from siamesekit.miners import semi_hard as module
from siamesekit.miners.semi_hard import SemiHardMiner, semi_hard
from siamesekit.triplets import Triplets


@pytest.fixture(params=[1 << 20, 30], ids=["at once", "in chunks"], autouse=True)
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", request.param)


def rows(triplets: Triplets) -> list[tuple[int, ...]]:
    return [tuple(row) for row in torch.stack(list(triplets), 1).tolist()]


def by_loop(distances: np.ndarray, labels: list[int]) -> list[tuple[int, float]]:
    """For each positive pair, in order, the pair and the distance of its negative."""
    expected = []
    for a, own in enumerate(labels):
        negatives = [distances[a, n] for n, label in enumerate(labels) if label != own]
        for p, label in enumerate(labels):
            if p != a and label == own and negatives:
                beyond = [d for d in negatives if d > distances[a, p]]
                expected.append((a, p, min(beyond) if beyond else max(negatives)))
    return expected


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(0, 10_000), st.sampled_from([4, 10**6]))
@settings(deadline=None)
def test_equals_the_loop(labels: list[int], seed: int, steps: int) -> None:
    """Of few distinct distances, with ties, and of many."""
    distances = np.random.default_rng(seed).integers(0, steps, size=(len(labels), len(labels))) / steps
    found = rows(semi_hard(torch.from_numpy(distances), torch.tensor(labels, dtype=torch.int64)))
    assert [(a, p, distances[a, n]) for a, p, n in found] == by_loop(distances, labels)
    assert all(labels[n] != labels[a] for a, _, n in found)


def test_an_example_on_a_line() -> None:
    """Anchor 0 and positive 1; the negatives 0.5, −1 (a tie, not beyond), 1.5 and −3."""
    embeddings = torch.tensor([[0.0], [1.0], [0.5], [-1.0], [1.5], [-3.0]])
    labels = torch.tensor([0, 0, 1, 2, 3, 4])
    assert rows(SemiHardMiner(distance=SquaredEuclidean())(embeddings, labels)) == [(0, 1, 4), (1, 0, 3)]
    near = torch.tensor([[0.0], [9.0], [0.5], [-1.0], [1.5], [-3.0]])  # no negative is beyond: the farthest from 0
    assert rows(SemiHardMiner(distance=SquaredEuclidean())(near, labels)) == [(0, 1, 5), (1, 0, 3)]


@pytest.mark.parametrize("labels", [[], [3], [1, 1, 1], [1, 2, 3]], ids=str)
def test_without_a_triplet_the_indices_are_empty(labels: list[int]) -> None:
    found = semi_hard(torch.ones(len(labels), len(labels)), torch.tensor(labels, dtype=torch.int64))
    assert [index.tolist() for index in found] == [[], [], []]


def test_distances_that_are_not_finite_stay_in_range() -> None:
    """What follows, the loss, is not finite then and says so."""
    found = semi_hard(torch.full((4, 4), torch.nan), torch.tensor([0, 0, 1, 1]))
    assert all(0 <= index < 4 for row in rows(found) for index in row)
