"""The training loop: batches of distinct images, one step each, an `EpochResult` for each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from siamesekit.data.samplers.batch import Sampler
from siamesekit.distances.distance import Distance, pairwise
from siamesekit.engine.frozen_prefix import CHUNK, Stored
from siamesekit.engine.precision import Precision
from siamesekit.engine.steps import Stepper
from siamesekit.errors import RunError
from siamesekit.losses.batch_all import share_ranked_right
from siamesekit.losses.loss import Loss, LossValue
from siamesekit.miners.miner import Miner
from siamesekit.model import Encoder
from siamesekit.progress import Progress
from siamesekit.randomness import torch_seed
from siamesekit.triplets import Triplets, positives_of


@dataclass(frozen=True)
class EpochResult:
    """What an epoch of training showed; figures are unweighted means over those of its batches that hold a triplet.

    Triplets are the sampler's or the miner's; where there are none of either, all that the individuals of a batch make.

    Attributes:
        epoch: counted from 1.
        loss: mean loss of a triplet, before each batch's step.
        accuracy: share of triplets with d_ap < d_an, strictly, before each batch's step.
        d_ap_mean: mean distance from anchor to positive; where all triplets count, of a positive pair.
        d_an_mean: mean distance from anchor to negative; where all triplets count, of a negative pair.
        active_triplets: share of the loss's terms, which are triplets, with a loss above 0.
        images_per_second: image passes asked for in a second: three to a triplet of the sampler; where it gives none,
            or a miner chooses them, the photos of the batches.
        seconds: duration.
    """

    epoch: int
    loss: float
    accuracy: float
    d_ap_mean: float
    d_an_mean: float
    active_triplets: float
    images_per_second: float
    seconds: float


def train(
    stepper: Stepper,
    images: Tensor,
    labels: Tensor,
    sampler: Sampler,
    distance: Distance,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    epochs: range,
    seed: int = 0,
    progress: Progress | None = None,
    miner: Miner | None = None,
) -> Iterator[EpochResult]:
    """Train, giving an `EpochResult` after each epoch; between two the caller may evaluate and save.

    Args:
        stepper: computes losses and gradients of batches of stored images; its encoder trains, in place.
        images: int64 `[N]`, the training photos, as indices into what is stored.
        labels: int64 `[N]`, their individuals.
        sampler: plans batches over the N training photos.
        distance: for the figures; the loss has its own.
        loss: what is minimised.
        optimizer: over the encoder's trainable parameters.
        epochs: which epochs to do, counted from 1.
        seed: the run's; with the epoch it seeds torch, for dropout and the like.
        progress: is shown the batches.
        miner: chooses the triplets of each batch, in place of the sampler's.

    Raises:
        RunError: the loss is not finite, or no batch holds a triplet.
    """
    encoder, precision = stepper.encoder, stepper.precision
    for epoch in epochs:
        start = time.perf_counter()
        torch.manual_seed(torch_seed(seed, f"epoch {epoch}"))
        encoder.train()
        figures: list[tuple[float, ...]] = []
        images_asked = 0
        label = f"Epoch {epoch}/{epochs.stop - 1}"
        for batch in (progress or Progress()).track(sampler.epoch(epoch), len(sampler), label, "batches"):
            individuals = labels[batch.images].to(precision.device)
            batch_loss = BatchLoss(loss, miner, individuals, batch.triplets)
            optimizer.zero_grad(set_to_none=True)
            value, embeddings = stepper(images[batch.images], batch_loss, epoch)
            if not torch.isfinite(value.objective):
                raise RunError(
                    f"the loss is {value.objective.item()} in epoch {epoch}: the weights have left the range of "
                    "numbers; lower optimizer.lr, or try --precision fp32"
                )
            optimizer.step()
            accuracy, d_ap, d_an = ranking(embeddings, individuals, batch_loss.triplets, distance)
            if not math.isnan(accuracy):
                figures.append((value.mean.item(), accuracy, d_ap, d_an, value.active.item()))
            given = None if miner else batch.triplets
            images_asked += len(batch.images) if given is None else 3 * len(given.anchor)
        if not figures:
            raise RunError(f"no batch of epoch {epoch} holds a triplet: two photos of an individual and one of another")
        seconds = time.perf_counter() - start
        mean_loss, accuracy, d_ap, d_an, active = torch.tensor(figures, dtype=torch.float64).mean(0).tolist()
        yield EpochResult(epoch, mean_loss, accuracy, d_ap, d_an, active, images_asked / seconds, seconds)


class BatchLoss:
    """The loss of one batch as a function of its embeddings alone.

    Attributes:
        triplets: those of the sampler, or once it has been called those of the miner; None where all count.
    """

    def __init__(self, loss: Loss, miner: Miner | None, individuals: Tensor, triplets: Triplets | None) -> None:
        self.loss = loss
        self.miner = miner
        self.individuals = individuals
        self.triplets = triplets and Triplets(*(index.to(individuals.device) for index in triplets))

    def __call__(self, embeddings: Tensor) -> LossValue:
        """The loss of embeddings `[n, D]`."""
        if self.miner is not None:
            with torch.no_grad():
                self.triplets = self.miner(embeddings.detach(), self.individuals)
        return self.loss(embeddings, self.individuals, self.triplets)


@torch.no_grad()
def embed_stored(encoder: Encoder, stored: Stored, images: Tensor, precision: Precision) -> Tensor:
    """Embeddings `[n, D]` of stored images in inference mode, on the CPU."""
    encoder.eval()
    chunks = [stored.embeddings(chunk, precision).float().cpu() for chunk in images.split(CHUNK)]
    return torch.cat(chunks)


def triplet_distances(embeddings: Tensor, triplets: Triplets, distance: Distance) -> tuple[Tensor, Tensor]:
    """d_ap and d_an, each `[T]`, of triplets of embeddings `[N, D]`."""
    anchor, positive, negative = (embeddings.index_select(0, index) for index in triplets)
    return distance(anchor, positive), distance(anchor, negative)


def ranking(
    embeddings: Tensor, labels: Tensor, triplets: Triplets | None, distance: Distance
) -> tuple[float, float, float]:
    """Share of triplets with d_ap < d_an, strictly, and the mean distances d_ap and d_an; NaN without any triplet.

    Args:
        embeddings: `[N, D]`, without gradient.
        labels: int64 `[N]`, their individuals.
        triplets: indices into them; None: all that the individuals make, with the means over the positive and over the
            negative pairs.
        distance: between embeddings.
    """
    if triplets is not None:
        d_ap, d_an = triplet_distances(embeddings, triplets, distance)
        return (d_ap < d_an).double().mean().item(), d_ap.mean().item(), d_an.mean().item()
    distances = pairwise(distance, embeddings, embeddings)
    index, there = positives_of(labels)
    positive = distances.gather(1, index)[there]
    same = labels[:, None] == labels
    d_an = distances.masked_fill(same, 0).sum(dtype=torch.float64) / (~same).sum()
    return share_ranked_right(distances, labels).item(), positive.double().mean().item(), d_an.item()
