"""Tensors with a row for each centre, of which each process holds some: gathered for a checkpoint, and dealt out.

They go through the CPU's memory, also between GPUs: the whole need not fit into the memory of one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from siamesekit.hardware.ranks import LEADER, Ranks


def shares_of(individuals: int, processes: int) -> list[int]:
    """Numbers of individuals of the processes: as even as possible, the first have one more.

    >>> shares_of(8, 3)
    [3, 3, 2]
    """
    return [individuals // processes + (rank < individuals % processes) for rank in range(processes)]


@dataclass(frozen=True)
class Rows:
    """The rows of each process, as the leader knows them.

    Attributes:
        ranks: the connection to the other processes.
        counts: number of rows of each process; 0 for one that holds none.
    """

    ranks: Ranks
    counts: list[int]

    @property
    def holding(self) -> list[int]:
        """The ranks other than the leader that hold rows."""
        return [rank for rank in self.ranks.others if self.counts[rank]]

    def gathered(self, own: Tensor) -> Tensor:
        """The rows of all processes `[R, …]`, on the CPU, from the leader's own `[r, …]`; the others send theirs."""
        whole = torch.empty((sum(self.counts), *own.shape[1:]), dtype=own.dtype)
        parts = whole.split(self.counts)
        parts[LEADER].copy_(own.detach())
        for rank in self.holding:
            self.ranks.receive(parts[rank], rank)
        return whole

    def dealt(self, whole: Tensor) -> Tensor:
        """The leader's own rows `[r, …]` of `[R, …]`, after the others are sent theirs."""
        parts = whole.detach().cpu().split(self.counts)
        for rank in self.holding:
            self.ranks.send(parts[rank], rank)
        own: Tensor = parts[LEADER].clone()
        return own


def named(dtype: torch.dtype) -> str:
    """`float32` for `torch.float32`."""
    return str(dtype).removeprefix("torch.")
