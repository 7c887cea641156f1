"""Mutual nearest descriptors with the ratio test, against loops."""

import numpy as np
import pytest
from numpy.typing import NDArray

from siamesekit.components.matchers.mutual import mutual_nearest


def by_loops(first: NDArray[np.float32], second: NDArray[np.float32], ratio: float) -> list[tuple[int, int]]:
    found = []
    for one, a in enumerate(first.astype(np.float64)):
        far = [float(np.linalg.norm(a - b)) for b in second.astype(np.float64)]
        nearest, further = np.argsort(far, kind="stable")[:2]
        back = [float(np.linalg.norm(other - second[nearest])) for other in first.astype(np.float64)]
        if int(np.argmin(back)) == one and far[nearest] < ratio * far[further]:
            found.append((one, int(nearest)))
    return found


@pytest.mark.parametrize("ratio", [0.7, 0.9, 0.99])
@pytest.mark.parametrize("seed", range(4))
def test_it_finds_what_loops_find(ratio: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(30, 8))
    second = np.concatenate([first[:12] + rng.normal(scale=0.2, size=(12, 8)), rng.normal(size=(9, 8))])
    first, second = (
        (each / np.linalg.norm(each, axis=1, keepdims=True)).astype(np.float32) for each in (first, second)
    )
    expected = by_loops(first, second, ratio)
    assert expected
    assert list(zip(*map(np.ndarray.tolist, mutual_nearest(first, second, ratio)), strict=True)) == expected


@pytest.mark.parametrize(("rows", "others"), [(0, 5), (5, 0), (5, 1), (0, 0)])
def test_too_few_descriptors_give_no_pair(rows: int, others: int) -> None:
    one, other = mutual_nearest(np.eye(8, dtype=np.float32)[:rows], np.eye(8, dtype=np.float32)[:others], 0.8)
    assert len(one) == len(other) == 0


def test_copies_tell_nothing() -> None:
    """Two equal descriptors are equally near, so the ratio is 1."""
    row = np.eye(1, 8, dtype=np.float32)
    assert len(mutual_nearest(row, np.concatenate([row, row]), 0.99)[0]) == 0
