"""What every miner component is."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from siamesekit.triplets import Triplets


class Miner(Protocol):
    """Chooses triplets of a batch by its embeddings `[N, D]`, which have no gradient, and individuals int64 `[N]`.

    The triplets are indices into the batch; without a positive pair, or without a second individual, there are none.
    """

    def __call__(self, embeddings: Tensor, labels: Tensor) -> Triplets:
        """The triplets."""
        ...
