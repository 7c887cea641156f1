"""The figures of an epoch of training, complete or midway."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from siamesekit.engine.random_state import random_state


@dataclass(frozen=True)
class EpochResult:
    """The figures of an epoch of training: unweighted means over its batches, NaN if no batch has the figure.

    Triplets are those of the sampler or the miner; without either, all triplets of the individuals in a batch. A batch
    without triplets has no figures of triplets.

    Attributes:
        epoch: number of the epoch, from 1.
        loss: mean loss of a triplet, or of another term of the loss, before each batch's step.
        accuracy: share of triplets with d_ap < d_an, strictly, before each batch's step.
        d_ap_mean: mean distance from anchor to positive; of positive pairs if all triplets or pairs count.
        d_an_mean: mean distance from anchor to negative; of negative pairs if all triplets or pairs count.
        active_triplets: share of the loss's terms, such as triplets, with a loss above 0.
        empty_batches: share of batches in which the miner found nothing, so that they added nothing to a step.
        embedding_variance: `embedding_variance` of a batch: near 0 if all embeddings are alike.
        gradient_norm: global norm of the encoder's gradient, before clipping, over the steps.
        lr: learning rate at the last step; of the head, if layers have their own.
        images_per_second: image passes per second: three for each triplet of the sampler; without these, or with a
            miner, one for each photo of a batch.
        seconds: duration of the epoch.
    """

    epoch: int
    loss: float
    accuracy: float
    d_ap_mean: float
    d_an_mean: float
    active_triplets: float
    empty_batches: float
    embedding_variance: float
    gradient_norm: float
    lr: float
    images_per_second: float
    seconds: float


@dataclass
class Midway:
    """The progress within an epoch; with the other states of a checkpoint, training continues from here.

    Attributes:
        epoch: number of the epoch, from 1.
        batches: number of batches done.
        rows: figures of each batch done.
        images_asked: number of image passes so far.
        empty: number of batches in which the miner found nothing.
        any_loss: whether any batch had a loss.
        any_triplet: whether any batch held a triplet.
        seconds: duration so far.
        random: states of the random generators, if this progress was saved.
    """

    epoch: int
    batches: int = 0
    rows: list[tuple[float, ...]] = field(default_factory=list)
    images_asked: int = 0
    empty: int = 0
    any_loss: bool = False
    any_triplet: bool = False
    seconds: float = 0.0
    random: dict[str, Any] | None = None

    def state(self) -> dict[str, Any]:
        """The progress as plain values, with the current states of the random generators."""
        return vars(self) | {"rows": list(self.rows), "random": random_state()}
