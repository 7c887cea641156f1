"""Loss `cross-batch-memory`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from siamesekit.allocator import refuse_too_many_numbers
from siamesekit.batches import checked_batch
from siamesekit.distances.distance import at_least_float32
from siamesekit.errors import ComponentError
from siamesekit.labels import Labels
from siamesekit.losses.loss import Loss, LossValue, loss_value
from siamesekit.miners.miner import Miner
from siamesekit.options import ALoss, AMiner, Count, Limited
from siamesekit.registry import LOSSES
from siamesekit.triplets import Pairs, Triplets, Tuples, as_pairs


def pairs_with_memory(labels: Tensor, remembered: Tensor) -> Pairs:
    """All pairs of a batch's photos with what is remembered, as indices into both: int64 `[N]`, `[M]` → N M pairs."""
    same = labels[:, None] == remembered
    (anchor, positive), (other_anchor, negative) = same.nonzero().unbind(1), (~same).nonzero().unbind(1)
    return Pairs(anchor, positive + len(labels), other_anchor, negative + len(labels))


def with_anchors_below(tuples: Tuples, count: int) -> Tuples:
    """Those triplets or pairs whose anchors are among the first `count` photos."""
    if isinstance(tuples, Triplets):
        return Triplets(*(index[tuples.anchor < count] for index in tuples))
    positive, negative = tuples.anchor < count, tuples.other_anchor < count
    return Pairs(
        tuples.anchor[positive], tuples.positive[positive], tuples.other_anchor[negative], tuples.negative[negative]
    )


@LOSSES.register("cross-batch-memory")
class CrossBatchMemory(nn.Module):
    """Another loss with a memory: the photos of a batch as anchors, with the batch and with what earlier batches left.

    Embeddings `[N, D]`, labels `[N]` → the inner loss of the batch's and the M last remembered embeddings together,
    over all pairs whose anchor is in the batch, or over those of the miner's that are such. Of a pair within the batch
    the gradient moves both photos. Then the batch is remembered, without gradient. Wang et al. 2020 (arXiv:1912.06798),
    who begin with it once the embeddings drift slowly.

    A photo makes no pair with itself; but with an earlier embedding of itself, from a batch of an earlier epoch, it
    makes a positive pair, as in the paper. Given triplets or pairs take the place of the batch's own pairs, and the
    memory's come on top; a miner takes the place of both. With a miner the embeddings are N + M, and its time and
    memory those of such a batch. In `eval()` mode it is the inner loss alone, the memory neither used nor changed.

    Args:
        loss: the inner loss, one that compares embeddings with each other.
        size: how many embeddings are remembered, the oldest forgotten first.
        miner: chooses among the batch and the memory; none for all pairs.
        embedding_dim: supplied by the run.

    Raises:
        ComponentError: the inner loss compares embeddings with something of its own for each individual, or is a memory
            itself.
    """

    embeddings: Tensor
    labels: Tensor
    filled: Tensor
    pointer: Tensor

    def __init__(self, loss: ALoss, size: Limited = 1024, miner: AMiner | None = None, *, embedding_dim: Count) -> None:
        super().__init__()
        if getattr(loss, "by_class", False) or isinstance(loss, CrossBatchMemory):
            raise ComponentError(
                f"loss 'cross-batch-memory' cannot hold {type(loss).__name__}, which keeps things itself: "
                "choose a loss that compares embeddings with each other, such as contrastive"
            )
        self.loss: Loss = loss
        self.size = size
        self.miner: Miner | None = miner
        if hasattr(loss, "measures_by"):
            self.measures_by: str = loss.measures_by
        refuse_too_many_numbers(size * embedding_dim, "loss 'cross-batch-memory'", "size, or the embedding's dimension")
        self.register_buffer("embeddings", torch.zeros(size, embedding_dim))
        self.register_buffer("labels", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    def forward(self, embeddings: Tensor, labels: Labels, tuples: Tuples | None = None) -> LossValue:
        """The loss of embeddings `[N, D]` of individuals `[N]`; in training mode the batch is then remembered."""
        embeddings, labels, tuples = checked_batch(
            embeddings, labels, tuples, dimensions=self.embeddings.shape[1],
            lasting="the memory holds individuals of earlier batches",
        )  # fmt: skip
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
        value = loss_value(self.loss(everything, individuals, chosen))
        self._remember(embeddings.detach(), labels)
        if getattr(self.loss, "mean_over_photos", False) and count:  # the remembered are no anchors
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
        kept = state_dict.get(f"{prefix}embeddings")
        if kept is not None:  # what was remembered in float64 goes on in float64
            self.embeddings = self.embeddings.to(kept.dtype)
        super()._load_from_state_dict(state_dict, prefix, *rest)
