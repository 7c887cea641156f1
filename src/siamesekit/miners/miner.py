"""What every miner component is."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from siamesekit.component_faults import given
from siamesekit.triplets import Pairs, Triplets, Tuples


def problem_of_tuples(tuples: Any, count: int) -> str:
    """What is wrong with a miner's tuples, in words; empty where nothing is.

    Args:
        tuples: what it gave.
        count: of the batch's embeddings.
    """
    if not isinstance(tuples, Triplets | Pairs):
        return f"{given(tuples)}; expected Triplets or Pairs of indices into the batch"
    for name, index in zip(tuples._fields, tuples, strict=True):
        if not isinstance(index, Tensor) or index.dtype != torch.int64 or index.ndim != 1:
            return f"{given(index)} as its {name}; expected a tensor int64 [n], indices into the batch"
        if len(index) and not 0 <= int(index.min()) <= int(index.max()) < count:
            return (f"indices from {int(index.min())} to {int(index.max())} as its {name}; expected indices into the "
                    f"batch of {count}, 0 … {count - 1}")  # fmt: skip
    groups = [tuples] if isinstance(tuples, Triplets) else [tuples[:2], tuples[2:]]
    if any(len({len(index) for index in group}) > 1 for group in groups):
        return "tuples whose parts differ in length; expected one length"
    return ""


class Miner(Protocol):
    """Chooses triplets or pairs of a batch by its embeddings `[N, D]`, without gradient, and individuals int64 `[N]`.

    They are indices into the batch; without a positive pair, or without a second individual, there are none. What is
    random in a miner is drawn from torch's global generator, which the run seeds and saves.
    """

    def __call__(self, embeddings: Tensor, labels: Tensor) -> Tuples:
        """The triplets or pairs."""
        ...
