"""Loss `cross-batch-memory`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from siamesekit.components.batches import checked_batch
from siamesekit.components.labels import Labels
from siamesekit.components.losses.loss import Loss, LossValue, loss_value
from siamesekit.components.losses.traits import traits
from siamesekit.components.miners.miner import Miner
from siamesekit.components.tuples import Pairs, Triplets, Tuples, as_pairs
from siamesekit.errors import ComponentError
from siamesekit.hardware.allocator import refuse_too_many_numbers
from siamesekit.hardware.float32 import at_least_float32
from siamesekit.options import ALoss, AMiner, Count, Limited
from siamesekit.registry import LOSSES


def pairs_with_memory(labels: Tensor, remembered: Tensor) -> Pairs:
    """All pairs of the photos of a batch with the memory, as indices into both: int64 `[N]`, `[M]` → N M pairs."""
    same = labels[:, None] == remembered
    (anchor, positive), (other_anchor, negative) = same.nonzero().unbind(1), (~same).nonzero().unbind(1)
    return Pairs(anchor, positive + len(labels), other_anchor, negative + len(labels))


def with_anchors_below(tuples: Tuples, count: int) -> Tuples:
    """The triplets or pairs whose anchors are among the first `count` photos."""
    if isinstance(tuples, Triplets):
        return Triplets(*(index[tuples.anchor < count] for index in tuples))
    positive, negative = tuples.anchor < count, tuples.other_anchor < count
    return Pairs(
        tuples.anchor[positive], tuples.positive[positive], tuples.other_anchor[negative], tuples.negative[negative]
    )


@LOSSES.register("cross-batch-memory")
class CrossBatchMemory(nn.Module):
    """Another loss with a memory of embeddings: the anchors of a batch are also compared with earlier batches.

    Embeddings `[N, D]`, labels `[N]` → the inner loss over the batch and the M embeddings in the memory, for all pairs
    whose anchor is in the batch, or for those that the miner selects. In a pair within the batch, both photos receive
    a gradient. The batch then enters the memory without gradient. Wang et al. 2020 (arXiv:1912.06798), who start using
    the memory once the embeddings drift slowly.

    A photo makes no pair with itself, but a positive pair with its own embedding from an earlier epoch, as in the
    paper. Triplets or pairs that are passed replace the pairs within the batch, and the pairs with the memory are
    added; a miner replaces both. A miner takes the time and memory of a batch of N + M embeddings. In `eval()` mode
    the loss is the inner loss alone; the memory is neither used nor changed.

    Args:
        loss: the inner loss, which must compare embeddings with each other.
        size: number of embeddings in the memory; the oldest are dropped first.
        miner: selects tuples from the batch and the memory; without one, all pairs are used.
        embedding_dim: supplied by the run.

    Raises:
        ComponentError: the inner loss has parameters for each individual, or is itself a memory or a sum.
    """

    __module__ = "siamesekit"

    fits_into_memory = False

    embeddings: Tensor
    labels: Tensor
    filled: Tensor
    pointer: Tensor

    def __init__(self, loss: ALoss, size: Limited = 1024, miner: AMiner | None = None, *, embedding_dim: Count) -> None:
        super().__init__()
        if not traits(loss).fits_into_memory:
            raise ComponentError(
                f"loss 'cross-batch-memory' cannot hold {type(loss).__name__}, which is a sum, or has a memory or "
                "parameters for each individual: choose a loss that compares embeddings with each other, such as "
                "contrastive; a sum may hold memories"
            )
        self.loss: Loss = loss
        self.size = size
        self.miner: Miner | None = miner
        if (measure := traits(loss).measures_by) is not None:
            self.measures_by: str = measure
        refuse_too_many_numbers(size * embedding_dim, "loss 'cross-batch-memory'", "size, or the embedding's dimension")
        self.register_buffer("embeddings", torch.zeros(size, embedding_dim))
        self.register_buffer("labels", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    def forward(self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None) -> LossValue:
        """The loss of embeddings `[N, D]` of individuals `[N]`. In training mode the batch enters the memory."""
        embeddings, labels, tuples = checked_batch(
            embeddings,
            labels,
            tuples,
            dimensions=self.embeddings.shape[1],
            lasting="the memory holds individuals of earlier batches",
        )
        if not self.training:
            return loss_value(self.loss(embeddings, labels, tuples))
        embeddings = at_least_float32(embeddings)
        if embeddings.dtype != self.embeddings.dtype:
            self.embeddings = self.embeddings.to(embeddings.dtype)
        count, filled = len(embeddings), int(self.filled)
        everything = torch.cat([embeddings, self.embeddings[:filled]])
        individuals = torch.cat([labels, self.labels[:filled]])
        if self.miner is not None:
            with torch.no_grad():
                chosen = with_anchors_below(self.miner(everything.detach(), individuals), count)
        else:
            own, remembered = as_pairs(tuples, labels), pairs_with_memory(labels, self.labels[:filled])
            chosen = Pairs(*(torch.cat(both) for both in zip(own, remembered, strict=True)))
        more = {"remembered": filled} if traits(self.loss).takes_remembered else {}
        value = loss_value(self.loss(everything, individuals, chosen, **more))
        self._remember(embeddings.detach(), labels)
        if traits(self.loss).mean_over_photos and count:  # embeddings in the memory are no anchors
            value = LossValue(*(figure * (len(everything) / count) for figure in value))
        return value

    @torch.no_grad()
    def _remember(self, embeddings: Tensor, labels: Tensor) -> None:
        size = len(self.labels)
        embeddings, labels = embeddings[-size:], labels[-size:]
        place = (self.pointer + torch.arange(len(labels), device=labels.device)) % size
        self.embeddings[place] = embeddings
        self.labels[place] = labels
        self.pointer.add_(len(labels)).remainder_(size)
        self.filled.add_(len(labels)).clamp_max_(size)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        saved = state_dict.get(f"{prefix}embeddings")
        if saved is not None:  # a float64 memory stays in float64
            self.embeddings = self.embeddings.to(saved.dtype)
        super()._load_from_state_dict(state_dict, prefix, *rest)
