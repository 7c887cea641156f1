"""Dealing photos to batches; what it makes of any individuals is `test_p_by_k.py`'s and `test_hierarchical.py`'s."""

import numpy as np
import pytest

from siamesekit.components.samplers.grouping import batches_of, deal, several


def test_individuals_with_one_photo_have_no_pair() -> None:
    assert [mine.tolist() for mine in several(np.array([3, 1, 3, 0, 1, 3]))] == [[1, 4], [0, 2, 5]]
    assert several(np.array([], dtype=np.int64)) == []


@pytest.mark.parametrize(
    ("photos_each", "individuals", "photos", "expected"),
    [([], 4, 4, 0), ([4] * 8, 4, 4, 2), ([8] * 8, 4, 4, 4), ([5] * 8, 4, 4, 2), ([6] * 8, 4, 4, 4),
     ([4] * 9, 4, 4, 3), ([40, 4, 4], 2, 4, 2), ([9], 2, 2, 1), ([2, 2, 2], 2, 4, 1)],
    ids=str,
)  # fmt: skip
def test_how_many_batches(photos_each: list[int], individuals: int, photos: int, expected: int) -> None:
    """The fifth photo waits, a sixth makes a second group; three do not go into two batches of two; 40 meet company."""
    assert batches_of([np.arange(count) for count in photos_each], individuals, photos) == expected


def test_no_individual_comes_twice_to_a_batch_and_what_is_left_over_waits() -> None:
    members = [np.arange(0, 9), np.arange(10, 14), np.arange(20, 25)]
    dealt = deal(members, 2, 2, np.random.default_rng(0))
    assert len(dealt) == 2
    for batch in dealt:
        assert [int((batch // 10 == individual).sum()) for individual in range(3)] == [2, 2, 2]
    assert len(set(np.concatenate(dealt).tolist())) == 12
