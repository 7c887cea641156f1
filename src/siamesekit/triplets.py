"""Triplets: which images are anchor, positive and negative."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
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


def all_pairs_triplets(labels: NDArray[np.int64], photos: int, rng: np.random.Generator) -> Triplets:
    """One triplet for every pair i < j of each individual's first `photos` photos, in shuffled order.

    The photo of lower index is the anchor. The negative is a random photo, among the first `photos`, of a random
    other individual.

    Args:
        labels: int64 `[N]`, each photo's individual.
        photos: how many photos of an individual take part, K; that makes K(K−1)/2 triplets each.
        rng: draws the negatives, then the order.
    """
    members = [np.flatnonzero(labels == label)[:photos] for label in np.unique(labels)]
    rows = []
    for own, mine in enumerate(members):
        for i in range(len(mine)):
            for j in range(i + 1, len(mine)):
                other = int(rng.integers(len(members) - 1))
                theirs = members[other + (other >= own)]
                rows.append((mine[i], mine[j], theirs[rng.integers(len(theirs))]))
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)[rng.permutation(len(rows))]
    return Triplets(*torch.from_numpy(table).T.contiguous())
