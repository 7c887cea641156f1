"""Miners `pml/*`: those of pytorch-metric-learning."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from siamesekit.batches import checked_batch
from siamesekit.construction import member_repr
from siamesekit.distances.distance import at_least_float32
from siamesekit.labels import Labels
from siamesekit.pml import as_ours, construct, seeded
from siamesekit.registry import MINERS
from siamesekit.triplets import Tuples, as_labelled


class PmlMiner:
    """A miner of pytorch-metric-learning: embeddings `[N, D]`, individuals `[N]` → triplets or pairs.

    Args:
        module: theirs.
    """

    def __init__(self, module: Any) -> None:
        self.module = module

    __repr__ = member_repr

    def __call__(self, embeddings: Tensor, labels: Labels) -> Tuples:
        """The triplets or pairs, in float32 or better; its random draws are seeded from torch's generator.

        Where distances are not finite some of theirs take a photo of the anchor's own individual for a negative, or the
        anchor itself for a positive: those tuples are left out.
        """
        embeddings, labels, _ = checked_batch(embeddings, labels)
        with seeded():
            return as_labelled(as_ours(self.module(at_least_float32(embeddings), labels)), labels)


@MINERS.register("pml/*", members="siamesekit.adapted.pml:miners")
def pml_miner(*, model: str, options: dict[str, Any]) -> PmlMiner:
    """The miners of pytorch-metric-learning by name: embeddings `[N, D]`, individuals `[N]` → triplets or pairs.

    Each has a distance of its own, its default or `[miner.distance]`; the run's is not handed to it.
    """
    return PmlMiner(construct("miners", model, options))
