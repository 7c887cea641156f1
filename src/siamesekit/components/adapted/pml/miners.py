"""Miners `pml/*`: the miners of pytorch-metric-learning."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from siamesekit.components.adapted.pml.bridge import as_ours, construct, seeded
from siamesekit.components.batches import checked_batch
from siamesekit.components.labels import Labels
from siamesekit.components.tuples import Tuples, as_labelled
from siamesekit.hardware.float32 import at_least_float32
from siamesekit.registry import MINERS
from siamesekit.registry.construction import member_repr


class PmlMiner:
    """A miner of pytorch-metric-learning: embeddings `[N, D]`, individuals `[N]` → triplets or pairs.

    Args:
        module: the miner of pytorch-metric-learning.
    """

    def __init__(self, module: Any) -> None:
        self.module = module

    __repr__ = member_repr

    def __call__(self, embeddings: Tensor, labels: Labels) -> Tuples:
        """The triplets or pairs, computed in float32 or better. Random draws are seeded from torch's generator.

        For infinite or NaN distances, some miners select a negative of the anchor's individual, or the anchor as its
        own positive. Such tuples are left out.
        """
        embeddings, labels, _ = checked_batch(embeddings, labels)
        with seeded():
            return as_labelled(as_ours(self.module(at_least_float32(embeddings), labels)), labels)


@MINERS.register("pml/*", members="siamesekit.registry.adapted.pml:miners")
def pml_miner(*, model: str, options: dict[str, Any]) -> PmlMiner:
    """The miners of pytorch-metric-learning by name: embeddings `[N, D]`, individuals `[N]` → triplets or pairs.

    Each miner uses its default distance or `[miner.distance]`; the run's distance is not passed to it.
    """
    return PmlMiner(construct("miners", model, options))
