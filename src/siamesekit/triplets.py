"""Triplets and pairs: which images are anchor, positive and negative."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.labels import Labels, label_array, label_tensor


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


class Candidates(NamedTuple):
    """Of A anchors the positives and the negatives among N photos, any of the ones with any of the others: triplets.

    Attributes:
        anchor: int64 `[A]`.
        positive: int64 `[A, K]`; any photo wherever there is none.
        there: bool `[A, K]`, which of them are positives.
        negative: bool `[A, N]`, which photos are negatives.
    """

    anchor: Tensor
    positive: Tensor
    there: Tensor
    negative: Tensor

    def triplets(self) -> Tensor:
        """How many triplets they make: int64 scalar."""
        return (self.there.sum(dim=1) * self.negative.sum(dim=1)).sum()


def by_individual(labels: Labels) -> tuple[Tensor, Tensor, Tensor]:
    """The photos in order of their individuals, and where each photo's individual stands in that order.

    Args:
        labels: `[N]`, each photo's individual.

    Returns:
        `order`, `start` and `size`, each int64 `[N]`: the photos of photo i's individual, in ascending order, are
        `order[start[i] : start[i] + size[i]]`.
    """
    labels = label_tensor(labels)
    order = labels.argsort(stable=True)
    _, group, sizes = torch.unique_consecutive(labels[order], return_inverse=True, return_counts=True)
    individual = torch.empty_like(group)
    individual[order] = group
    return order, (sizes.cumsum(0) - sizes)[individual], sizes[individual]


def positives_of(labels: Labels) -> Positives:
    """The other photos of each photo's individual; labels `[N]`.

    >>> photo, there = positives_of(torch.tensor([7, 5, 7]))
    >>> photo[there]  # of photo 0 photo 2, of photo 2 photo 0; photo 1 is alone
    tensor([2, 0])
    """
    labels = label_tensor(labels)
    order, start, size = by_individual(labels)
    photos = torch.arange(len(labels), device=labels.device)[:, None]
    column = torch.arange(int(size.max()) if len(size) else 0, device=labels.device)
    members = order[(start[:, None] + column).clamp_max(len(order) - 1)]
    there = (column < size[:, None]) & (members != photos)
    return Positives(torch.where(there, members, photos), there)


def as_labelled(tuples: Tuples, labels: Tensor) -> Tuples:
    """Those whose positive is another photo of the anchor's individual, and whose negative is one of another's.

    Args:
        tuples: triplets or pairs of indices into N photos.
        labels: int64 `[N]`, individuals.
    """
    positive = (labels[tuples.anchor] == labels[tuples.positive]) & (tuples.anchor != tuples.positive)
    if isinstance(tuples, Triplets):
        right = positive & (labels[tuples.anchor] != labels[tuples.negative])
        return tuples if bool(right.all()) else Triplets(*(index[right] for index in tuples))
    negative = labels[tuples.other_anchor] != labels[tuples.negative]
    if bool(positive.all()) and bool(negative.all()):
        return tuples
    return Pairs(
        tuples.anchor[positive], tuples.positive[positive], tuples.other_anchor[negative], tuples.negative[negative]
    )


def count_triplets(labels: Labels) -> Tensor:
    """How many triplets photos make: labels `[N]` → int64 scalar.

    Σ (other photos of the individual) · (photos of all others), over the photos.

    >>> count_triplets(torch.tensor([0, 0, 1]))  # two anchors, the one negative for both
    tensor(2)
    """
    _, _, size = by_individual(labels)
    return ((size - 1) * (len(labels) - size)).sum()


def all_pairs(labels: Labels) -> Pairs:
    """All pairs of a batch, both ways round, by anchor: labels `[N]` → `[P]` and `[Q]`, P + Q = N (N − 1).

    >>> pairs = all_pairs(torch.tensor([0, 0, 1]))
    >>> pairs.anchor, pairs.positive
    (tensor([0, 1]), tensor([1, 0]))
    >>> pairs.other_anchor, pairs.negative
    (tensor([0, 1, 2, 2]), tensor([2, 2, 0, 1]))
    """
    labels = label_tensor(labels)
    same = labels[:, None] == labels
    positive = same.clone().fill_diagonal_(False).nonzero(as_tuple=True)
    return Pairs(*positive, *(~same).nonzero(as_tuple=True))


def as_pairs(tuples: Tuples | None, labels: Labels) -> Pairs:
    """The pairs that a loss of pairs is over: all of the batch without tuples; of triplets each distinct pair once.

    Args:
        tuples: triplets, pairs, or None for all.
        labels: `[N]`, individuals.

    >>> triplets = Triplets(torch.tensor([0, 0]), torch.tensor([1, 1]), torch.tensor([2, 3]))
    >>> pairs = as_pairs(triplets, torch.tensor([0, 0, 1, 1]))
    >>> pairs.positive, pairs.negative  # the positive pair is in both triplets, and counts once
    (tensor([1]), tensor([2, 3]))
    """
    if tuples is None:
        return all_pairs(labels)
    if isinstance(tuples, Pairs):
        return tuples
    photos = max(1, len(labels))
    # a pair as one number, below N² and so of 63 bits: sorting those is far quicker than sorting rows
    positive, negative = ((tuples.anchor * photos + other).unique() for other in (tuples.positive, tuples.negative))
    return Pairs(positive // photos, positive % photos, negative // photos, negative % photos)


def as_triplets(tuples: Tuples | None) -> Triplets | None:
    """The triplets that a loss of triplets is over: of pairs every positive with every negative pair of its anchor.

    None, all triplets of the batch, stays None. O(P + Q + T) memory, indices `[P]`, `[Q]` → `[T]`.

    >>> other_anchor, negative = torch.tensor([0, 0]), torch.tensor([2, 3])
    >>> as_triplets(Pairs(torch.tensor([0]), torch.tensor([1]), other_anchor, negative))
    Triplets(anchor=tensor([0, 0]), positive=tensor([1, 1]), negative=tensor([2, 3]))
    """
    if tuples is None or isinstance(tuples, Triplets):
        return tuples
    anchor = tuples.anchor.contiguous()
    other_anchor, order = tuples.other_anchor.sort(stable=True)
    first = torch.searchsorted(other_anchor, anchor)
    negatives = torch.searchsorted(other_anchor, anchor, right=True) - first
    pair = torch.arange(len(negatives), device=order.device).repeat_interleave(negatives)
    place = torch.arange(len(pair), device=order.device) - (negatives.cumsum(0) - negatives)[pair] + first[pair]
    return Triplets(anchor[pair], tuples.positive[pair], tuples.negative[order[place]])


def count_triplets_of(pairs: Pairs, photos: int) -> Tensor:
    """How many triplets `as_triplets` makes of pairs `[P]`, `[Q]` of so many photos, without making them: int64 scalar.

    >>> count_triplets_of(Pairs(*torch.tensor([[0, 0], [1, 2], [0, 5], [3, 3]])), 6)
    tensor(2)
    """
    return pairs.other_anchor.bincount(minlength=photos)[pairs.anchor].sum()


def all_candidates(labels: Labels) -> Candidates:
    """All that the photos of a batch make: labels `[N]` → N anchors."""
    labels = label_tensor(labels)
    photo, there = positives_of(labels)
    return Candidates(torch.arange(len(labels), device=labels.device), photo, there, labels[:, None] != labels)


def candidates_of(pairs: Pairs, photos: int) -> Candidates | None:
    """The anchors of positive pairs `[P]`, with all that pairs `[P]`, `[Q]` list of them, in O(P + Q + A N) memory.

    None where a negative pair is listed twice, which a mask does not show.

    Args:
        pairs: indices into the photos.
        photos: N.
    """
    sizes = pairs.anchor.bincount(minlength=photos)
    anchor = sizes.nonzero()[:, 0]
    row = (sizes > 0).cumsum(0) - 1
    order = pairs.anchor.argsort(stable=True)
    sizes = sizes[anchor]
    there = torch.arange(int(sizes.max()) if len(sizes) else 0, device=order.device) < sizes[:, None]
    positive = torch.zeros_like(there, dtype=torch.int64)
    positive[there] = pairs.positive[order]
    asked = torch.zeros(photos, dtype=torch.bool, device=order.device).index_fill_(0, anchor, True)[pairs.other_anchor]
    negative = torch.zeros(len(anchor), photos, dtype=torch.bool, device=order.device)
    negative[row[pairs.other_anchor[asked]], pairs.negative[asked]] = True
    return Candidates(anchor, positive, there, negative) if negative.sum() == asked.sum() else None


def all_pairs_triplets(labels: Labels, photos: int, rng: np.random.Generator) -> Triplets:
    """One triplet for every pair i < j of each individual's first `photos` photos, in shuffled order.

    The photo of lower index is the anchor. The negative is a random photo, among the first `photos`, of a random
    other individual. Without a second individual there is no negative, and no triplet.

    Args:
        labels: int64 `[N]`, each photo's individual.
        photos: how many photos of an individual take part, K; that makes K(K−1)/2 triplets each.
        rng: draws the negatives, then the order.
    """
    labels = label_array(labels)
    members = [np.flatnonzero(labels == label)[:photos] for label in np.unique(labels)]
    rows = []
    for own, mine in enumerate(members if len(members) > 1 else []):
        for i in range(len(mine)):
            for j in range(i + 1, len(mine)):
                other = int(rng.integers(len(members) - 1))
                theirs = members[other + (other >= own)]
                rows.append((mine[i], mine[j], theirs[rng.integers(len(theirs))]))
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)[rng.permutation(len(rows))]
    return Triplets(*torch.from_numpy(table).T.contiguous())


def random_triplets(labels: Labels, count: int, rng: np.random.Generator) -> Triplets:
    """So many triplets at random, of which each positive pair has as many as any other, or one more.

    Which photo of a pair is the anchor is random; the negative is a random photo of a random other individual. Memory
    is O(N + count), and more only where `count` is a large part of all pairs.

    Args:
        labels: int64 `[N]`, each photo's individual.
        count: T; 0 for as many as there are positive pairs. Without a positive pair or a negative there are none.
        rng: draws them, and their order.
    """
    labels = label_array(labels)
    order = np.argsort(labels, kind="stable")
    _, start, size = np.unique(labels[order], return_index=True, return_counts=True)
    ends = np.cumsum(size * (size - 1) // 2)
    pairs = int(ends[-1]) if len(size) > 1 else 0
    if pairs == 0:
        return Triplets(*torch.empty(3, 0, dtype=torch.int64))
    count = count or pairs
    rounds = [rng.choice(pairs, min(pairs, count - done), replace=False) for done in range(0, count, pairs)]
    number = np.concatenate(rounds)
    own = np.searchsorted(ends, number, side="right")
    low, high = pair_of(number - (ends - size * (size - 1) // 2)[own])
    swapped = rng.random(count) < 0.5
    anchor, positive = np.where(swapped, high, low), np.where(swapped, low, high)
    other = rng.integers(len(size) - 1, size=count)
    other += other >= own
    table = order[np.stack([start[own] + anchor, start[own] + positive, start[other] + rng.integers(size[other])])]
    return Triplets(*torch.from_numpy(table))


def pair_of(number: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pair i < j of a number, `[P]` → `[P]`, `[P]`: (0, 1), (0, 2), (1, 2), (0, 3), …, it is j(j − 1)/2 + i.

    >>> pair_of(np.array([0, 1, 2, 3]))
    (array([0, 0, 1, 0]), array([1, 2, 2, 3]))
    """
    j = ((1 + np.sqrt(1 + 8.0 * number)) / 2).astype(np.int64)
    j -= j * (j - 1) // 2 > number  # the root may be rounded over a whole number
    j += j * (j + 1) // 2 <= number
    return number - j * (j - 1) // 2, j
