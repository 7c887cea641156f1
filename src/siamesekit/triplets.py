"""Triplets: which images are anchor, positive and negative."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Triplets(NamedTuple):
    """T triplets as indices into a list of N images.

    Attributes:
        anchor: int64 `[T]`, 0 ≤ index < N.
        positive: int64 `[T]`, another image of the anchor's individual.
        negative: int64 `[T]`, an image of another individual.
    """

    anchor: Tensor
    positive: Tensor
    negative: Tensor
