"""Miners `pml/*`: those of pytorch-metric-learning."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from siamesekit.construction import member_repr
from siamesekit.pml import as_ours, construct, seeded
from siamesekit.registry import MINERS
from siamesekit.triplets import Tuples


class PmlMiner:
    """A miner of pytorch-metric-learning: embeddings `[N, D]`, individuals `[N]` → triplets or pairs.

    Args:
        module: theirs.
    """

    def __init__(self, module: Any) -> None:
        self.module = module

    __repr__ = member_repr

    def __call__(self, embeddings: Tensor, labels: Tensor) -> Tuples:
        """The triplets or pairs; its random draws are seeded from torch's generator."""
        with seeded():
            return as_ours(self.module(embeddings, labels))


@MINERS.register("pml/*", members="siamesekit.adapted.pml:miners")
def pml_miner(*, model: str, options: dict[str, Any]) -> PmlMiner:
    """The miners of pytorch-metric-learning by name: embeddings `[N, D]`, individuals `[N]` → triplets or pairs.

    Each has a distance of its own, its default or `[miner.distance]`; the run's is not handed to it.
    """
    return PmlMiner(construct("miners", model, options))
