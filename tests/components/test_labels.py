"""Labels in all that may hold them, as numbers that tell the same individuals apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from siamesekit.components.labels import label_array, label_tensor, labels_of
from siamesekit.components.tuples import all_pairs, as_pairs, count_triplets, positives_of
from siamesekit.errors import ComponentError

NUMBERS = [2, 0, 2, 1, 0]
NAMES = ["carl", "ada", "carl", "bea", "ada"]
INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
SAME = {
    "list": NUMBERS,
    "tuple": tuple(NUMBERS),
    "range": range(5),
    "list of NumPy numbers": [np.int16(number) for number in NUMBERS],
    "list of tensors": [torch.tensor(number) for number in NUMBERS],
    "objects": np.array(NUMBERS, dtype=object),
    "names": NAMES,
    "array of names": np.array(NAMES),
    "objects that are names": np.array(NAMES, dtype=object),
    "bytes": np.array(NAMES, dtype="S"),
    "huge": [10**18 + number for number in NUMBERS],
    "negative": [number - 10**18 for number in NUMBERS],
    "beyond int64": [10**30 + number for number in NUMBERS],
    "booleans": [number == 2 for number in NUMBERS],
    **{f"array of {kind.__name__}": np.array(NUMBERS, dtype=kind) for kind in INTEGERS},
    **{
        f"tensor of {kind}": torch.tensor(NUMBERS).to(kind)
        for kind in (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8)
    },
    "tensor of booleans": torch.tensor(NUMBERS) == 2,
}
WRONG: dict[str, tuple[Any, str]] = {
    "floats": ([1.0, 2.0], r"names, not 1\.0$"),
    "not a number": ([1, float("nan")], "names, not nan$"),
    "float array": (np.array([1.0, 2.0]), r"not <float64 \[2\]>$"),
    "float tensor": (torch.tensor([1.0, 2.0]), r"not float32 \[2\]$"),
    "numbers and names": ([1, "a"], "not numbers and names together$"),
    "none among them": ([1, None], "names, not None$"),
    "none": (None, "names, not None$"),
    "one name": ("abc", "not 'abc'$"),
    "one number": (3, "not 3$"),
    "a table": ({1: 2}, r"not \{1: 2\}$"),
    "dates": (np.array(["2020-01-01"], dtype="M8[D]"), "not <datetime64"),
    "column": (torch.tensor([[1], [2]]), r"labels must be \[N\], one for each photo, not \[2, 1\]$"),
    "column of an array": (np.array([[1], [2]]), r"not \[2, 1\]$"),
    "column of lists": ([[1], [2]], r"not a list that holds \[1\]$"),
    "scalar": (torch.tensor(3), r"not \[\]$"),
}


@pytest.mark.parametrize("held", SAME)
def test_the_same_individuals_are_told_apart_whatever_holds_them(held: str) -> None:
    """Against a comparison of each two items in Python."""
    plain = (
        [item.decode() if isinstance(item, bytes) else item for item in np.array(SAME[held], dtype=object).tolist()]
        if not isinstance(SAME[held], torch.Tensor)
        else SAME[held].tolist()
    )
    expected = [[one == other for other in plain] for one in plain]
    for found in (label_tensor(SAME[held]), torch.from_numpy(label_array(SAME[held]))):
        assert found.dtype == torch.int64
        assert (found[:, None] == found).tolist() == expected


def test_whole_numbers_stay_and_names_are_numbered_in_their_order() -> None:
    assert label_tensor([-7, 10**18]).tolist() == [-7, 10**18]
    assert label_tensor(NAMES).tolist() == NUMBERS
    labels = torch.tensor(NUMBERS)
    assert label_tensor(labels) is labels
    assert label_tensor([]).tolist() == []


@pytest.mark.parametrize("held", WRONG)
def test_what_holds_no_labels_is_refused_in_words(held: str) -> None:
    wrong, expected = WRONG[held]
    for convert in (label_tensor, label_array, positives_of, count_triplets, all_pairs):
        with pytest.raises(ComponentError, match=expected):
            convert(wrong)


def test_names_are_refused_where_numbers_must_last() -> None:
    with pytest.raises(ComponentError, match="must be numbers, not names such as 'carl': a memory; number the indiv"):
        label_tensor(NAMES, lasting="a memory")
    with pytest.raises(ComponentError, match="must be numbers, not names such as '1000"):
        label_tensor([10**30, 1], lasting="a memory")
    assert label_tensor(NUMBERS, lasting="a memory").tolist() == NUMBERS


def test_as_many_labels_as_embeddings() -> None:
    assert labels_of(torch.zeros(5, 2), NAMES).tolist() == NUMBERS
    with pytest.raises(ComponentError, match="labels do not fit the embeddings: 4 embeddings and 5 labels"):
        labels_of(torch.zeros(4, 2), NAMES)


@pytest.mark.parametrize(
    "wrong",
    [torch.zeros(5), torch.zeros(5, 2, 1), torch.zeros(5, 2, dtype=torch.int64), np.zeros((5, 2)), None, [[0.0]] * 5],
)
def test_embeddings_are_a_matrix_of_floating_point(wrong: Any) -> None:
    with pytest.raises(ComponentError, match=r"embeddings must be a floating-point tensor \[N, D\], not "):
        labels_of(wrong, NUMBERS)


def test_pairs_and_counts_are_those_of_the_numbers() -> None:
    for mine, theirs in zip(all_pairs(NAMES), all_pairs(torch.tensor(NUMBERS)), strict=True):
        assert torch.equal(mine, theirs)
    assert all(map(torch.equal, as_pairs(None, NAMES), all_pairs(NAMES)))
    assert all(map(torch.equal, positives_of(NAMES), positives_of(torch.tensor(NUMBERS))))
    assert count_triplets(NAMES) == sum(
        i != j and NAMES[i] == NAMES[j] != NAMES[k] for i in range(5) for j in range(5) for k in range(5)
    )
