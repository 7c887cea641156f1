"""Miner `all` against a triple loop and pytorch-metric-learning."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning.utils.loss_and_miner_utils import get_all_triplets_indices

from helpers import rows_of
from oracles import triplets_of
from siamesekit.components.miners.all import AllTripletsMiner, all_triplets


@given(st.lists(st.integers(-2, 3), max_size=10))
def test_equals_the_triple_loop(labels: list[int]) -> None:
    expected = triplets_of(labels)
    found = rows_of(all_triplets(torch.tensor(labels, dtype=torch.int64)))
    assert sorted(found) == expected
    assert [row[0] for row in found] == [row[0] for row in expected]


def test_equals_pytorch_metric_learning() -> None:
    labels = torch.randint(0, 6, (40,), generator=torch.Generator().manual_seed(0))
    found = rows_of(AllTripletsMiner()(torch.zeros(40, 2), labels))
    assert len(found) > 1000
    assert sorted(found) == sorted(zip(*(index.tolist() for index in get_all_triplets_indices(labels)), strict=True))


@pytest.mark.parametrize("labels", [[], [3], [1, 1, 1], [1, 2, 3]], ids=str)
def test_without_a_triplet_the_indices_are_empty_and_index(labels: list[int]) -> None:
    for index in all_triplets(torch.tensor(labels, dtype=torch.int64)):
        assert (index.dtype, index.tolist()) == (torch.int64, [])


def test_memory_is_that_of_the_triplets() -> None:
    """A mask of all N³ would have 6.8 × 10¹⁰ elements here, and there are just 8190 triplets."""
    labels = torch.arange(4097).clamp_min(1)  # one pair
    assert len(rows_of(all_triplets(labels))) == 2 * 4095
