"""Triplets and pairs: which images are anchor, positive and negative."""

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


class Pairs(NamedTuple):
    """P positive and Q negative pairs as indices into a list of N images.

    Attributes:
        anchor: int64 `[P]`, 0 ≤ index < N.
        positive: int64 `[P]`, another image of the anchor's individual.
        other_anchor: int64 `[Q]`, anchors of the negative pairs.
        negative: int64 `[Q]`, an image of another individual.
    """

    anchor: Tensor
    positive: Tensor
    other_anchor: Tensor
    negative: Tensor


Tuples = Triplets | Pairs
"""What a miner chooses and a loss is over."""


class Positives(NamedTuple):
    """For each of N photos the other photos of its individual, K being the most photos that an individual has.

    Attributes:
        photo: int64 `[N, K]`, the photos of the individual in ascending order; the photo itself wherever there is none.
        there: bool `[N, K]`, which of them are another photo.
    """

    photo: Tensor
    there: Tensor


def individuals_of(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The photos in order of their individuals, and where each photo's individual stands in that order.

    Args:
        labels: int64 `[N]`, each photo's individual.

    Returns:
        `order`, `start` and `size`, each int64 `[N]`: the photos of photo i's individual, in ascending order, are
        `order[start[i] : start[i] + size[i]]`.
    """
    order = labels.argsort(stable=True)
    _, group, sizes = torch.unique_consecutive(labels[order], return_inverse=True, return_counts=True)
    individual = torch.empty_like(group)
    individual[order] = group
    return order, (sizes.cumsum(0) - sizes)[individual], sizes[individual]


def positives_of(labels: Tensor) -> Positives:
    """The other photos of each photo's individual; labels int64 `[N]`."""
    order, start, size = individuals_of(labels)
    photos = torch.arange(len(labels), device=labels.device)[:, None]
    column = torch.arange(int(size.max()) if len(size) else 0, device=labels.device)
    members = order[(start[:, None] + column).clamp_max(len(order) - 1)]
    there = (column < size[:, None]) & (members != photos)
    return Positives(torch.where(there, members, photos), there)


def count_triplets(labels: Tensor) -> Tensor:
    """How many triplets photos make, int64 scalar: Σ (other photos of the individual) · (photos of all others)."""
    _, _, size = individuals_of(labels)
    return ((size - 1) * (len(labels) - size)).sum()


def all_pairs(labels: Tensor) -> Pairs:
    """All pairs of a batch, both ways round, by anchor: labels int64 `[N]` → `[P]` and `[Q]`, P + Q = N (N − 1)."""
    same = labels[:, None] == labels
    positive = same.clone().fill_diagonal_(False).nonzero(as_tuple=True)
    return Pairs(*positive, *(~same).nonzero(as_tuple=True))


def as_pairs(tuples: Tuples | None, labels: Tensor) -> Pairs:
    """The pairs that a loss of pairs is over: all of the batch without tuples; of triplets each distinct pair once.

    Args:
        tuples: triplets, pairs, or None for all.
        labels: int64 `[N]`, individuals.
    """
    if tuples is None:
        return all_pairs(labels)
    if isinstance(tuples, Pairs):
        return tuples
    positive = torch.stack([tuples.anchor, tuples.positive], dim=1).unique(dim=0)
    negative = torch.stack([tuples.anchor, tuples.negative], dim=1).unique(dim=0)
    return Pairs(*positive.unbind(1), *negative.unbind(1))


def as_triplets(tuples: Tuples | None) -> Triplets | None:
    """The triplets that a loss of triplets is over: of pairs every positive with every negative pair of its anchor.

    None, all triplets of the batch, stays None.
    """
    if tuples is None or isinstance(tuples, Triplets):
        return tuples
    meets = (tuples.anchor[:, None] == tuples.other_anchor).nonzero()
    positive, negative = meets.unbind(1)
    return Triplets(tuples.anchor[positive], tuples.positive[positive], tuples.negative[negative])


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
