"""The protocol `Miner` of miner components, and the check of their tuples."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from siamesekit.components.tuples import Pairs, Triplets, Tuples
from siamesekit.registry.component_faults import given


def problem_of_tuples(tuples: Any, count: int) -> str:
    """What is wrong with the tuples of a miner, as a message; empty if they are valid.

    Args:
        tuples: the result of the miner.
        count: number of embeddings in the batch.
    """
    if not isinstance(tuples, Triplets | Pairs):
        return f"{given(tuples)}; expected Triplets or Pairs of indices into the batch"
    for name, index in zip(tuples._fields, tuples, strict=True):
        if not isinstance(index, Tensor) or index.dtype != torch.int64 or index.ndim != 1:
            return f"{given(index)} as its {name}; expected a tensor int64 [n], indices into the batch"
        if len(index) and not 0 <= int(index.min()) <= int(index.max()) < count:
            return (
                f"indices from {int(index.min())} to {int(index.max())} as its {name}; expected indices into the "
                f"batch of {count}, 0 … {count - 1}"
            )
    groups = [tuples] if isinstance(tuples, Triplets) else [tuples[:2], tuples[2:]]
    if any(len({len(index) for index in group}) > 1 for group in groups):
        return "tuples whose parts have different lengths; expected one length"
    return ""


class Miner(Protocol):
    """Selects triplets or pairs of a batch by its embeddings `[N, D]`, without gradient, and individuals int64 `[N]`.

    The tuples are indices into the batch. They are empty without a positive pair or a second individual. A miner must
    draw random numbers from torch's global generator, which the run seeds and saves.
    """

    def __call__(self, embeddings: Tensor, labels: Tensor) -> Tuples:
        """The triplets or pairs."""
        ...


Miner.__module__ = "siamesekit"
