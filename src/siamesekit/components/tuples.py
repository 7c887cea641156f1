"""Triplets and pairs: which images are anchor, positive and negative."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from siamesekit.components.labels import Labels, label_tensor


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


Triplets.__module__ = "siamesekit"


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


Pairs.__module__ = "siamesekit"


Tuples = Triplets | Pairs
"""The triplets or pairs that a miner selects."""


class Positives(NamedTuple):
    """The positives of each of N photos, padded to K, the largest number of photos of an individual.

    Attributes:
        photo: int64 `[N, K]`, the photos of the individual in ascending order; padding is the photo itself.
        mask: bool `[N, K]`, true for other photos of the individual, false for padding and the photo itself.
    """

    photo: Tensor
    mask: Tensor


class Candidates(NamedTuple):
    """The positives and negatives of A anchors among N photos. Every positive with every negative is a triplet.

    Attributes:
        anchor: int64 `[A]`.
        positive: int64 `[A, K]`, padded with any photo.
        mask: bool `[A, K]`, which entries of `positive` are positives.
        negative: bool `[A, N]`, which photos are negatives.
    """

    anchor: Tensor
    positive: Tensor
    mask: Tensor
    negative: Tensor

    def triplets(self) -> Tensor:
        """The number of triplets: int64 scalar."""
        return (self.mask.sum(dim=1) * self.negative.sum(dim=1)).sum()


def by_individual(labels: Labels) -> tuple[Tensor, Tensor, Tensor]:
    """The photos sorted by individual, and the segment of each photo's individual in that order.

    Args:
        labels: `[N]`, the individual of each photo.

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
    """The positives of each photo: labels `[N]` → N photos.

    >>> photo, mask = positives_of(torch.tensor([7, 5, 7]))
    >>> photo[mask]  # photo 2 is the positive of photo 0, and photo 0 of photo 2; photo 1 has none
    tensor([2, 0])
    """
    labels = label_tensor(labels)
    order, start, size = by_individual(labels)
    photos = torch.arange(len(labels), device=labels.device)[:, None]
    column = torch.arange(int(size.max()) if len(size) else 0, device=labels.device)
    members = order[(start[:, None] + column).clamp_max(len(order) - 1)]
    mask = (column < size[:, None]) & (members != photos)
    return Positives(torch.where(mask, members, photos), mask)


def as_labelled(tuples: Tuples, labels: Tensor) -> Tuples:
    """The tuples whose positive is another photo of the anchor's individual and whose negative shows another one.

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
    """The number of triplets that photos make: labels `[N]` → int64 scalar.

    Σ (other photos of the individual) · (photos of all other individuals), over the photos.

    >>> count_triplets(torch.tensor([0, 0, 1]))  # two anchors with the same negative
    tensor(2)
    """
    _, _, size = by_individual(labels)
    return ((size - 1) * (len(labels) - size)).sum()


def all_pairs(labels: Labels) -> Pairs:
    """All pairs of a batch, in both directions, by anchor: labels `[N]` → `[P]` and `[Q]`, P + Q = N (N − 1).

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
    """The pairs of a pair loss: all pairs of the batch without tuples, each distinct pair of triplets once.

    Args:
        tuples: triplets, pairs, or None for all pairs.
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
    # a pair as one number below N², which fits into 63 bits: sorting numbers is far faster than sorting rows
    positive, negative = ((tuples.anchor * photos + other).unique() for other in (tuples.positive, tuples.negative))
    return Pairs(positive // photos, positive % photos, negative // photos, negative % photos)


def as_triplets(tuples: Tuples | None) -> Triplets | None:
    """The triplets of a triplet loss: pairs are joined, every positive with every negative pair of its anchor.

    None, for all triplets of the batch, stays None. Pairs `[P]`, `[Q]` → triplets `[T]`, in O(P + Q + T) memory.

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
    """The number of triplets that `as_triplets` makes of pairs `[P]`, `[Q]`, without making them: int64 scalar.

    >>> count_triplets_of(Pairs(*torch.tensor([[0, 0], [1, 2], [0, 5], [3, 3]])), 6)
    tensor(2)
    """
    return pairs.other_anchor.bincount(minlength=photos)[pairs.anchor].sum()


def all_candidates(labels: Labels) -> Candidates:
    """All positives and negatives of a batch: labels `[N]` → N anchors."""
    labels = label_tensor(labels)
    photo, mask = positives_of(labels)
    return Candidates(torch.arange(len(labels), device=labels.device), photo, mask, labels[:, None] != labels)


def candidates_of(pairs: Pairs, photos: int) -> Candidates | None:
    """The A anchors of positive pairs with the positives and negatives in pairs `[P]`, `[Q]`: O(P + Q + A N) memory.

    None if a negative pair occurs twice, which a mask cannot express.

    Args:
        pairs: indices into the photos.
        photos: N.
    """
    sizes = pairs.anchor.bincount(minlength=photos)
    anchor = sizes.nonzero()[:, 0]
    row = (sizes > 0).cumsum(0) - 1
    order = pairs.anchor.argsort(stable=True)
    sizes = sizes[anchor]
    mask = torch.arange(int(sizes.max()) if len(sizes) else 0, device=order.device) < sizes[:, None]
    positive = torch.zeros_like(mask, dtype=torch.int64)
    positive[mask] = pairs.positive[order]
    used = torch.zeros(photos, dtype=torch.bool, device=order.device).index_fill_(0, anchor, True)[pairs.other_anchor]
    negative = torch.zeros(len(anchor), photos, dtype=torch.bool, device=order.device)
    negative[row[pairs.other_anchor[used]], pairs.negative[used]] = True
    return Candidates(anchor, positive, mask, negative) if negative.sum() == used.sum() else None
