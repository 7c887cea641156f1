"""The protocol `Sampler` of sampler components, and their batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.components.tuples import Triplets
from siamesekit.errors import ComponentError


class Batch(NamedTuple):
    """A batch of distinct training photos.

    Attributes:
        images: int64 `[N]`, distinct indices into the training photos.
        triplets: T triplets of indices into the *batch*, 0 ≤ index < N; None for all triplets of the batch.
    """

    images: Tensor
    triplets: Triplets | None


Batch.__module__ = "siamesekit"


class Sampler(Protocol):
    """A plan of batches, which depends on seed and epoch alone, not on earlier draws.

    A sampler that uses embeddings also has `mine(epoch, embed)`, which is called before `epoch(epoch)`. Calling
    `embed()` computes the embeddings `[N, D]` of the training photos in inference mode. Such a sampler also has
    `state_dict()` and `load_state_dict(state)`, with tensors and plain values, from which a resumed run continues.
    """

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        ...

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 1."""
        ...


Sampler.__module__ = "siamesekit"


def batch_of(triplets: Triplets) -> Batch:
    """The batch of triplets of training photos: each distinct photo once, and the triplets as indices into them."""
    images, inverse = torch.unique(torch.cat(triplets), return_inverse=True)
    return Batch(images, Triplets(*inverse.chunk(3)))


def batches_of_triplets(triplets: Triplets, batch_size: int) -> Iterator[Batch]:
    """Split triplets into batches of `batch_size`, in order; the last batch may be smaller."""
    for start in range(0, len(triplets.anchor), batch_size):
        yield batch_of(Triplets(*(index[start : start + batch_size] for index in triplets)))


MOST_TRIPLETS = 10_000_000
"""Largest number of triplets in an epoch: their indices alone take a few hundred MB."""


def count_pairs(labels: NDArray[np.int64], photos: int | None = None) -> int:
    """The number of positive pairs that have a negative: labels int64 `[N]`.

    Args:
        labels: the individual of each photo.
        photos: number of photos per individual that are used; None for all.

    >>> count_pairs(np.array([5, 5, 5, 7, 7])), count_pairs(np.array([5, 5, 5, 7, 7]), 2), count_pairs(np.array([5, 5]))
    (4, 2, 0)
    """
    _, size = np.unique(labels, return_counts=True)
    size = size if photos is None else size.clip(max=photos)
    return int((size * (size - 1) // 2).sum()) if len(size) > 1 else 0


def triplets_in_epoch(labels: NDArray[np.int64], triplets: int, sampler: str) -> int:
    """The number of triplets in an epoch; 0 without a positive pair that has a negative.

    Args:
        labels: int64 `[N]`.
        triplets: the option of the sampler; 0 for the number of positive pairs.
        sampler: name of the sampler.

    Raises:
        ComponentError: more than `MOST_TRIPLETS` triplets.
    """
    pairs = count_pairs(labels)
    count = (triplets or pairs) if pairs else 0
    refuse_too_many(count, sampler, "set sampler.triplets")
    return count


def refuse_too_many(triplets: int, sampler: str, advice: str) -> None:
    """Refuse an epoch of more than `MOST_TRIPLETS` triplets, before they are drawn.

    Raises:
        ComponentError: more than `MOST_TRIPLETS` triplets.
    """
    if triplets > MOST_TRIPLETS:
        raise ComponentError(
            f"sampler {sampler!r}: an epoch would have {triplets:,} triplets, but the maximum is {MOST_TRIPLETS:,}: "
            f"{advice}"
        )
