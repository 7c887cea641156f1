"""The test set that judges each epoch: the test photos, their triplets, and their batches."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from siamesekit.components.distances.distance import Distance
from siamesekit.components.losses.loss import Loss, loss_value
from siamesekit.components.losses.traits import traits
from siamesekit.components.miners.miner import Miner
from siamesekit.components.samplers.batch import Batch
from siamesekit.components.samplers.triplets import all_pairs_triplets
from siamesekit.components.tuples import Triplets, count_triplets
from siamesekit.data.splits import Split
from siamesekit.engine.batch_loss import BatchLoss
from siamesekit.engine.faults import failing_as
from siamesekit.engine.random_state import drawing_from
from siamesekit.evaluation.ranking import triplet_distances
from siamesekit.randomness import generator

PHOTOS_IN_TRIPLETS = 10
"""Most photos of each test individual that are used in test triplets, the first ones."""


def triplets_for_accuracy(labels: NDArray[np.int64], seed: int) -> Triplets:
    """All pairs of each test individual's first photos, each with a random negative: labels int64 `[N]`."""
    return all_pairs_triplets(labels, PHOTOS_IN_TRIPLETS, generator(seed, "test triplets"))


@dataclass(frozen=True)
class TestSet:
    """The test photos and the triplets that judge the network.

    Attributes:
        photos: the N test photos as indices into the data set, int64 `[N]`.
        labels: labels of the test photos, int64 `[N]`.
        triplets: all pairs of each individual's first photos, each with a random negative; indices into the N photos.
        classes: classes 0 … C − 1 of the photos among the training individuals, int64 `[N]`; None if some individuals
            did not train.
        batches: batches of the N photos for the test loss; None if the loss uses `triplets` or is by class.
    """

    __test__ = False
    """pytest takes no class for a test whose name begins with Test."""

    photos: Tensor
    labels: NDArray[np.int64]
    triplets: Triplets
    classes: NDArray[np.int64] | None
    batches: tuple[Batch, ...] | None = None

    @classmethod
    def of(cls, labels: NDArray[np.int64], split: Split, seed: int, batches: Sequence[Batch] | None = None) -> TestSet:
        """The test set of a split.

        Args:
            labels: labels of all N photos, int64 `[N]`.
            split: the split, which names the test photos.
            seed: seed of the run.
            batches: batches of the test photos, for a loss that trains on more than a sampler's triplets.
        """
        test = labels[list(split.test)]
        triplets = triplets_for_accuracy(test, seed)
        trained = np.unique(labels[list(split.train)])
        classes = np.searchsorted(trained, test) if np.isin(test, trained).all() else None
        return cls(torch.tensor(split.test), test, triplets, classes, None if batches is None else tuple(batches))

    def loss_and_accuracy(
        self, embeddings: Tensor, loss: Loss, distance: Distance, miner: Miner | None = None
    ) -> dict[str, float | None]:
        """Mean loss of embeddings `[N, D]`, and share of triplets with d_ap < d_an, None without triplets.

        The loss has the same kind of terms as in training: the test triplets if the sampler gives triplets; else the
        mean over batches of the tuples that the miner selects, or of all tuples of the batch. It is None if there are
        no such terms, if the loss is by class and the test individuals did not train, or if it is not finite.

        Raises:
            ComponentRunError: loss, miner or distance failed.
        """
        return {
            "test_loss": self._loss(embeddings, loss, miner),
            "test_accuracy": self._accuracy(embeddings, distance),
        }

    def _accuracy(self, embeddings: Tensor, distance: Distance) -> float | None:
        if not len(self.triplets.anchor):
            return None
        with failing_as("distance", "the test photos' triplets"):
            d_ap, d_an = triplet_distances(embeddings, self.triplets, distance)
        return (d_ap < d_an).double().mean().item()

    @torch.no_grad()
    def _loss(self, embeddings: Tensor, loss: Loss, miner: Miner | None) -> float | None:
        by_class = traits(loss).by_class
        individuals = self.classes if by_class else self.labels
        if individuals is None or (not by_class and self.batches is None and not len(self.triplets.anchor)):
            return None
        device = embeddings.device
        if isinstance(loss, nn.Module):
            loss.eval()
            device = next(chain(loss.parameters(), loss.buffers()), embeddings).device
        labels = torch.from_numpy(individuals).to(device)
        if self.batches is None:
            triplets = Triplets(*(index.to(device) for index in self.triplets))
            tuples = triplets if traits(loss).takes_tuples else None
            with failing_as("loss", "the test loss"):
                means = [loss_value(loss(embeddings.to(device), labels, tuples)).mean.item()]
        else:
            miner = copy.deepcopy(miner)  # the test must not change the miner's state in training
            with drawing_from(0):
                means = [*self._of_batches(self.batches, embeddings.to(device), labels, loss, miner)]
        mean = sum(means) / len(means) if means else math.nan
        return mean if math.isfinite(mean) else None  # JSON has neither NaN nor Inf

    @staticmethod
    def _of_batches(
        batches: Sequence[Batch], embeddings: Tensor, labels: Tensor, loss: Loss, miner: Miner | None
    ) -> list[float]:
        """The mean loss of each batch that has a loss."""
        found = []
        for number, batch in enumerate(batches):
            images = batch.images.to(labels.device)
            if batch.triplets is None and not bool(count_triplets(labels[images]) > 0):
                continue
            of_batch = BatchLoss(loss, miner, labels[images], batch.triplets)
            with failing_as("loss", f"the test loss, batch {number + 1}", batch.images.tolist()):
                value = of_batch(embeddings[images])
                if not of_batch.empty:
                    found.append(value.mean.item())
        return found
