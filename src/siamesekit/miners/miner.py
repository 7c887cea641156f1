"""What every miner component is."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from siamesekit.triplets import Tuples


class Miner(Protocol):
    """Chooses triplets or pairs of a batch by its embeddings `[N, D]`, without gradient, and individuals int64 `[N]`.

    They are indices into the batch; without a positive pair, or without a second individual, there are none. What is
    random in a miner is drawn from torch's global generator, which the run seeds and saves.
    """

    def __call__(self, embeddings: Tensor, labels: Tensor) -> Tuples:
        """The triplets or pairs."""
        ...
