"""The loss of one batch, with its miner, as a function of the embeddings alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from siamesekit.components.losses.loss import Loss, LossValue, loss_value
from siamesekit.components.losses.traits import traits
from siamesekit.components.miners.miner import Miner
from siamesekit.components.tuples import Triplets, Tuples
from siamesekit.engine.faults import failing_as


class BatchLoss:
    """The loss of one batch as a function of its embeddings alone.

    Attributes:
        tuples: triplets of the sampler; with a miner, the tuples of its last call. None: all tuples of the batch.
        empty: whether the miner found no tuples; the loss is then a constant 0.
    """

    def __init__(self, loss: Loss, miner: Miner | None, individuals: Tensor, triplets: Triplets | None) -> None:
        self.loss = loss
        self.miner = miner
        self.individuals = individuals
        self.tuples: Tuples | None = triplets and Triplets(*(index.to(individuals.device) for index in triplets))
        self.empty = False

    def __call__(self, embeddings: Tensor, before_neck: Tensor | None = None) -> LossValue:
        """The loss of embeddings `[n, D]`, and of those before the neck `[n, D]` if the loss takes them.

        The miner sees the embeddings.

        Raises:
            ComponentRunError: the loss or the miner failed.
        """
        if self.miner is not None:
            with failing_as("miner"), torch.no_grad():
                self.tuples = self.miner(embeddings.detach(), self.individuals)
                self.empty = all(len(index) == 0 for index in self.tuples)
        if self.empty:
            return LossValue(*(embeddings.new_zeros(()) for _ in range(3)))
        with failing_as("loss"):
            if traits(self.loss).takes_before_neck:
                both: Any = self.loss
                return loss_value(both(embeddings, self.individuals, self.tuples, before_neck=before_neck))
            return loss_value(self.loss(embeddings, self.individuals, self.tuples))
