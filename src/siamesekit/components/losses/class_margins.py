"""Margins of the training individuals by their number of photos."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from siamesekit.components.labels import Labels, label_array
from siamesekit.errors import ComponentError

POWER = -0.25
"""Power of the number of photos, λ in the paper."""


def margins_by_size(counts: Labels, smallest: float, greatest: float) -> Tensor:
    """The margin a · n^(−1/4) + b of each individual with n photos: `[C]` → float64 `[C]`.

    a and b are such that the individuals with the fewest photos get the greatest margin and those with the most photos
    the smallest one. If all have equally many, they get the greatest. Ha et al. 2020 (arXiv:2010.05350), section 2.2,
    "dynamic margins".

    Args:
        counts: number of photos of each individual, at least 1.
        smallest: smallest margin.
        greatest: greatest margin.

    >>> margins_by_size([1, 16, 1, 81], 0.2, 0.5)
    tensor([0.5000, 0.2750, 0.5000, 0.2000], dtype=torch.float64)
    """
    powers = torch.from_numpy(label_array(counts).astype(np.float64) ** POWER)
    low, high = powers.min(), powers.max()
    if low == high:
        return torch.full_like(powers, greatest)
    return smallest + (greatest - smallest) * (powers - low) / (high - low)


def class_margins(
    component: str, margin: float, smallest: float | None, classes: int, counts: Labels | None
) -> Tensor | None:
    """The checked margins of a loss's C individuals, float64 `[C]`; None if all have the same.

    Args:
        component: kind and name of the loss, for errors.
        margin: the margin of all individuals, or the greatest one.
        smallest: the smallest margin; None if all individuals have the same.
        classes: C.
        counts: number of photos of each individual.

    Raises:
        ComponentError: the smallest margin is above the greatest, or the numbers of photos are missing or wrong.
    """
    if smallest is None:
        return None
    if smallest > margin:
        raise ComponentError(
            f"{component}: smallest_margin = {smallest:g} is above margin = {margin:g}, the greatest: lower it"
        )
    if counts is None:
        raise ComponentError(
            f"{component}: smallest_margin needs class_counts, the number of photos of each training individual"
        )
    numbers = label_array(counts)
    if len(numbers) != classes or (len(numbers) and numbers.min() < 1):
        raise ComponentError(
            f"{component}: class_counts must be {classes} numbers of photos, one for each training individual, at "
            f"least 1, not {len(numbers)} from {min(numbers, default=0)}"
        )
    return margins_by_size(numbers, smallest, margin)
