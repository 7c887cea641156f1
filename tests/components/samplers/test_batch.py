"""A batch holds each distinct photo once; its triplets point into it."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers import photos_of
from siamesekit.components.samplers.batch import batch_of
from siamesekit.components.tuples import Triplets

Rows = st.lists(st.tuples(*[st.integers(0, 30)] * 3), min_size=1, max_size=40)


@given(Rows)
def test_triplets_of_the_batch_are_the_given_ones_and_its_photos_distinct(rows: list[tuple[int, int, int]]) -> None:
    batch = batch_of(Triplets(*torch.tensor(rows).T))
    assert photos_of([batch]) == rows
    assert batch.images.tolist() == sorted({index for row in rows for index in row})


def test_an_example() -> None:
    batch = batch_of(Triplets(torch.tensor([7, 7]), torch.tensor([9, 2]), torch.tensor([4, 9])))
    assert batch.images.tolist() == [2, 4, 7, 9]
    assert [index.tolist() for index in batch.triplets] == [[2, 2], [3, 0], [1, 3]]
