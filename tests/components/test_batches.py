"""Embeddings, labels and tuples that fit each other, and what is said where they do not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from siamesekit.components.batches import checked_batch
from siamesekit.components.tuples import Pairs, Triplets
from siamesekit.errors import ComponentError

EMBEDDINGS = torch.randn(6, 3)
LABELS = torch.tensor([0, 0, 1, 1, 2, 2])


def index(*places: int) -> Tensor:
    return torch.tensor(places, dtype=torch.int64)


def test_what_fits_is_handed_on_as_it_is() -> None:
    triplets = Triplets(index(0, 5), index(1, 4), index(2, 3))
    for tuples in (triplets, Pairs(index(0), index(1), index(0, 1), index(2, 3)), None):
        batch = checked_batch(EMBEDDINGS, LABELS, tuples)
        assert (batch.embeddings is EMBEDDINGS, batch.labels is LABELS, batch.tuples is tuples) == (True,) * 3
    nothing = torch.empty(0, dtype=torch.int64)
    assert len(checked_batch(EMBEDDINGS[:0], LABELS[:0], Triplets(nothing, nothing, nothing)).embeddings) == 0


def test_a_plain_tuple_of_tensors_is_triplets_or_pairs() -> None:
    """As a miner of another library gives them."""
    assert isinstance(checked_batch(EMBEDDINGS, LABELS, (index(0), index(1), index(2))).tuples, Triplets)
    assert isinstance(checked_batch(EMBEDDINGS, LABELS, (index(0), index(1), index(0), index(2))).tuples, Pairs)


def test_a_positive_of_another_individual_is_let_pass() -> None:
    wrong = Triplets(index(0), index(2), index(1))
    assert checked_batch(EMBEDDINGS, LABELS, wrong).tuples is wrong


@pytest.mark.parametrize(
    ("tuples", "expected"),
    [
        (Triplets(index(0), index(6), index(2)), r"positive 6 is not among the 6 photos of the batch \(0 … 5\)"),
        (Triplets(index(0), index(1), index(-1)), "negative -1 is not among the 6 photos"),
        (Pairs(index(0), index(1), index(9), index(2)), "other_anchor 9 is not among the 6 photos"),
        (Triplets(index(0, 1), index(1), index(2)), "not 2 of anchor, 1 of positive, 1 of negative"),
        (Pairs(index(0), index(1), index(0, 1), index(2)), "not 2 of other_anchor, 1 of negative"),
        (Triplets(index(0).int(), index(1), index(2)), r"anchor must be an int64 tensor \[T\], not int32 \[1\]"),
        (Triplets(index(0), index(1).float(), index(2)), r"positive must be an int64 tensor \[T\], not float32 \[1\]"),
        (Triplets(index(0), index(1), index(2)[:, None]), r"negative must be an int64 tensor .* int64 \[1, 1\]"),
        (Triplets([0], [1], [2]), r"anchor must be an int64 tensor \[T\], not list \[0\]"),
        (Triplets(index(0).to("meta"), index(1), index(2)), "anchor is on meta, but the embeddings are on cpu"),
        ((1, 2), "tuples must be Triplets or Pairs, not"),
        ("hard", "tuples must be Triplets or Pairs, not 'hard'"),
        (index(0, 1, 2), "tuples must be Triplets or Pairs, not <int64"),
    ],
)
def test_tuples_that_do_not_fit_are_refused(tuples: Any, expected: str) -> None:
    with pytest.raises(ComponentError, match=expected):
        checked_batch(EMBEDDINGS, LABELS, tuples)


def test_a_loss_s_own_dimensions_and_individuals_are_told() -> None:
    assert checked_batch(EMBEDDINGS, LABELS, dimensions=3, classes=3).labels is LABELS
    with pytest.raises(ComponentError, match=r"embeddings must have 4 dimensions \(embedding_dim\), not 3"):
        checked_batch(EMBEDDINGS, LABELS, dimensions=4)
    for wrong, which in ((LABELS + 1, "3"), (LABELS - 1, "-1")):
        with pytest.raises(ComponentError, match=rf"labels must be 0 … 2, the numbers of the 3 .*not {which}$"):
            checked_batch(EMBEDDINGS, wrong, classes=3)
    with pytest.raises(
        ComponentError, match="must be numbers, not names such as 'a': the loss has parameters for each"
    ):
        checked_batch(EMBEDDINGS, list("aabbcc"), classes=3)
