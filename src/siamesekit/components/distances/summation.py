"""The depth of the tree in which PyTorch adds the numbers of a row, which bounds the rounding error of the sum."""

from __future__ import annotations

from functools import cache

import torch

LARGE = 2.0**60
"""A number that swallows ones: added to a sum of them, it leaves no trace of them in float32."""
MOST = 1024
"""Largest row of which the tree is found, in some seconds; a row of 512 takes half a second."""


@cache
def summation_depth(size: int) -> int:
    """Largest number of additions that a number of a row passes through in `sum(dim=-1)`: float32 `[P, size]`, CPU.

    The tree is that of the sum itself: of ones, a large number at i and its opposite at j, those that are added to
    either before the two meet are lost (Xie et al. 2024, arXiv:2411.00442). So the sum tells the size of the smallest
    subtree with i and j, and the depth of i is the number of different sizes. Rows of more than `MOST` numbers are not
    tried; for them it is size − 1, which holds for any order.

    >>> summation_depth(2)
    1
    """
    if size > MOST or size < 2:
        return max(0, size - 1)
    deepest, every = 0, torch.arange(size)
    for i in range(size):
        rows = torch.ones(size, size)
        rows[:, i] = LARGE
        rows[every, every] = -LARGE
        deepest = max(deepest, len(rows.sum(dim=-1)[every != i].unique()))
    return deepest
