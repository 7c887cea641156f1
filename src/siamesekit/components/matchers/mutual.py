"""Pairs of descriptors that are each other's nearest, with Lowe's ratio test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mutual_nearest(
    first: NDArray[np.float32], second: NDArray[np.float32], ratio: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of two sets of descriptors, `[K, D]` and `[L, D]` of length 1, that are each other's nearest.

    A pair is kept if its distance is below `ratio` times the distance from the first to the second-nearest of `second`:
    Lowe 2004, "Distinctive image features from scale-invariant keypoints", section 7.1. With fewer than two descriptors
    in `second` nothing can be compared, so there is no pair.

    Returns:
        Rows of the first and of the second set, `[M]` each.
    """
    if len(first) == 0 or len(second) < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    products = first @ second.T
    rows = np.arange(len(first))
    best = products.argmax(1)
    back = products.argmax(0)
    nearest = products[rows, best]
    products[rows, best] = -np.inf
    further = products.max(1)
    square = 2 - 2 * np.stack([nearest, further]).clip(-1, 1)  # ‖a − b‖² of vectors of length 1
    kept = (back[best] == rows) & (square[0] < ratio**2 * square[1])
    return rows[kept], best[kept]
