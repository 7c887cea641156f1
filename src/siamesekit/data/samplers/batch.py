"""What every sampler component is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.errors import ComponentError
from siamesekit.triplets import Triplets


class Batch(NamedTuple):
    """A batch of training photos, each of them once.

    Attributes:
        images: int64 `[N]`, distinct indices into the training photos.
        triplets: T triplets of indices into the *batch*, 0 ≤ index < N; None: all that its individuals make.
    """

    images: Tensor
    triplets: Triplets | None


class Sampler(Protocol):
    """A plan of batches; the same for the same seed and epoch, whatever was drawn before.

    A sampler that plans by the embeddings also has `mine(epoch, embed)`, which is called before each epoch, before
    `epoch(epoch)`: `embed()` gives the training photos' embeddings `[N, D]`, in inference mode, if it wants them. It
    then has `state_dict()` and `load_state_dict(state)`, of tensors and plain values: what it goes by after a
    resumption.
    """

    def __len__(self) -> int:
        """Batches in an epoch."""
        ...

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 1."""
        ...


def batch_of(triplets: Triplets) -> Batch:
    """The batch of triplets over all photos: each distinct photo once, the triplets as indices into those."""
    images, inverse = torch.unique(torch.cat(triplets), return_inverse=True)
    return Batch(images, Triplets(*inverse.chunk(3)))


def batches_of_triplets(triplets: Triplets, batch_size: int) -> Iterator[Batch]:
    """Batches of `batch_size` triplets in their order, the last one smaller where it does not fill up."""
    for start in range(0, len(triplets.anchor), batch_size):
        yield batch_of(Triplets(*(index[start : start + batch_size] for index in triplets)))


MOST_TRIPLETS = 10_000_000
"""An epoch of a sampler has no more: their indices alone take some hundred MB."""


def count_pairs(labels: NDArray[np.int64], photos: int | None = None) -> int:
    """How many positive pairs photos make that have a negative: labels int64 `[N]`.

    Args:
        labels: each photo's individual.
        photos: of an individual that take part; None: all.

    >>> count_pairs(np.array([5, 5, 5, 7, 7])), count_pairs(np.array([5, 5, 5, 7, 7]), 2), count_pairs(np.array([5, 5]))
    (4, 2, 0)
    """
    _, size = np.unique(labels, return_counts=True)
    size = size if photos is None else size.clip(max=photos)
    return int((size * (size - 1) // 2).sum()) if len(size) > 1 else 0


def triplets_in_epoch(labels: NDArray[np.int64], triplets: int, sampler: str) -> int:
    """How many triplets an epoch has: so many, or of 0 as many as there are positive pairs; none without a pair.

    Args:
        labels: int64 `[N]`.
        triplets: the sampler's option.
        sampler: its name.

    Raises:
        ComponentError: more than `MOST_TRIPLETS`.
    """
    pairs = count_pairs(labels)
    count = (triplets or pairs) if pairs else 0
    refuse_too_many(count, sampler, "set sampler.triplets")
    return count


def refuse_too_many(triplets: int, sampler: str, advice: str) -> None:
    """Refuse an epoch of more than `MOST_TRIPLETS` triplets before they are drawn.

    Raises:
        ComponentError: there are more.
    """
    if triplets > MOST_TRIPLETS:
        raise ComponentError(
            f"sampler {sampler!r}: an epoch would have {triplets:,} triplets, and {MOST_TRIPLETS:,} are the most: "
            f"{advice}"
        )
