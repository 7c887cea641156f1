"""What each epoch is judged on: the test photos, their triplets, and the batches that they would make."""

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

from siamesekit.data.samplers.batch import Batch
from siamesekit.data.splits import Split
from siamesekit.distances.distance import Distance
from siamesekit.engine.faults import failing_as
from siamesekit.engine.random_state import drawing_from
from siamesekit.engine.ranking import triplet_distances
from siamesekit.engine.training import BatchLoss
from siamesekit.losses.loss import Loss, loss_value
from siamesekit.miners.miner import Miner
from siamesekit.randomness import generator
from siamesekit.triplets import Triplets, all_pairs_triplets, count_triplets

PHOTOS_IN_TRIPLETS = 10
"""Test triplets are all pairs of each test individual's first so many photos."""


@dataclass(frozen=True)
class HeldOut:
    """The test photos and the triplets on which the network is judged.

    Attributes:
        photos: int64 `[N]`, indices into the data set.
        labels: int64 `[N]`, their individuals.
        triplets: all pairs of each individual's first photos, each with one random negative; indices into the N.
        classes: int64 `[N]`, their individuals' numbers 0 … C − 1 among the training individuals; None where some of
            them did not train.
        batches: of the N photos, over which the loss is taken; None where it is over `triplets`, or by class.
    """

    photos: Tensor
    labels: NDArray[np.int64]
    triplets: Triplets
    classes: NDArray[np.int64] | None
    batches: tuple[Batch, ...] | None = None

    @classmethod
    def of(cls, labels: NDArray[np.int64], split: Split, seed: int, batches: Sequence[Batch] | None = None) -> HeldOut:
        """The test part of photos of individuals `[all]`.

        Args:
            labels: of all photos.
            split: which of them are the test photos.
            seed: the run's.
            batches: of the test photos, for a loss that trains on more of a batch than a sampler's triplets.
        """
        test = labels[list(split.test)]
        triplets = all_pairs_triplets(test, PHOTOS_IN_TRIPLETS, generator(seed, "test triplets"))
        trained = np.unique(labels[list(split.train)])
        classes = np.searchsorted(trained, test) if np.isin(test, trained).all() else None
        return cls(torch.tensor(split.test), test, triplets, classes, None if batches is None else tuple(batches))

    def loss_and_accuracy(
        self, embeddings: Tensor, loss: Loss, distance: Distance, miner: Miner | None = None
    ) -> dict[str, float | None]:
        """Mean loss, and share of triplets with d_ap < d_an, of embeddings `[N, D]`.

        The loss is over the same kind of terms as in training: the triplets where the sampler names triplets; else, as
        in training, the mean over batches of what the miner chooses in each, or of all that its individuals make. It
        is None where no such term is there, where it is by class and the individuals did not train, and where it is
        not a finite number.

        Raises:
            ComponentRunError: loss, miner or distance raised something.
        """
        with failing_as("distance", "the test photos' triplets"):
            d_ap, d_an = triplet_distances(embeddings, self.triplets, distance)
        return {
            "test_loss": self._loss(embeddings, loss, miner),
            "test_accuracy": (d_ap < d_an).double().mean().item(),
        }

    @torch.no_grad()
    def _loss(self, embeddings: Tensor, loss: Loss, miner: Miner | None) -> float | None:
        by_class = bool(getattr(loss, "by_class", False))
        individuals = self.classes if by_class else self.labels
        if individuals is None:
            return None
        device = embeddings.device
        if isinstance(loss, nn.Module):
            loss.eval()
            device = next(chain(loss.parameters(), loss.buffers()), embeddings).device
        labels = torch.from_numpy(individuals).to(device)
        if by_class or self.batches is None:
            triplets = Triplets(*(index.to(device) for index in self.triplets))
            tuples = triplets if getattr(loss, "takes_tuples", not by_class) else None
            with failing_as("loss", "the test loss"):
                means = [loss_value(loss(embeddings.to(device), labels, tuples)).mean.item()]
        else:
            miner = copy.deepcopy(miner)  # what it remembers, or draws, is of training
            with drawing_from(0):
                means = [*self._of_batches(self.batches, embeddings.to(device), labels, loss, miner)]
        mean = sum(means) / len(means) if means else math.nan
        return mean if math.isfinite(mean) else None  # JSON has no other number

    @staticmethod
    def _of_batches(
        batches: Sequence[Batch], embeddings: Tensor, labels: Tensor, loss: Loss, miner: Miner | None
    ) -> list[float]:
        """The mean loss of each batch that has one."""
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
