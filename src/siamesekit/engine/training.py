"""The training loop: batches of distinct images, one step each, an `EpochResult` for each epoch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from siamesekit.data.samplers.batch import Sampler
from siamesekit.distances.distance import Distance
from siamesekit.engine.frozen_prefix import CHUNK, Stored
from siamesekit.engine.precision import Precision
from siamesekit.errors import RunError
from siamesekit.losses.loss import Loss
from siamesekit.model import Encoder
from siamesekit.progress import Progress
from siamesekit.randomness import torch_seed
from siamesekit.triplets import Triplets


@dataclass(frozen=True)
class EpochResult:
    """What an epoch of training showed; figures are unweighted means over its batches.

    Attributes:
        epoch: counted from 1.
        loss: mean loss of a triplet, before each batch's step.
        accuracy: share of triplets with d_ap < d_an, strictly, before each batch's step.
        d_ap_mean: mean distance from anchor to positive.
        d_an_mean: mean distance from anchor to negative.
        active_triplets: share of triplets with a loss above 0.
        images_per_second: image passes asked for (three to a triplet) in a second.
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
    encoder: Encoder,
    stored: Stored,
    images: Tensor,
    labels: Tensor,
    sampler: Sampler,
    distance: Distance,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    precision: Precision,
    epochs: range,
    seed: int = 0,
    progress: Progress | None = None,
) -> Iterator[EpochResult]:
    """Train, giving an `EpochResult` after each epoch; between two the caller may evaluate and save.

    Args:
        encoder: what trains, in place.
        stored: all images, or what the encoder's frozen part makes of them.
        images: int64 `[N]`, the training photos, as indices into `stored`.
        labels: int64 `[N]`, their individuals.
        sampler: plans batches over the N training photos.
        distance: for the figures; the loss has its own.
        loss: what is minimised.
        optimizer: over the encoder's trainable parameters.
        precision: device and number format.
        epochs: which epochs to do, counted from 1.
        seed: the run's; with the epoch it seeds torch, for dropout and the like.
        progress: is shown the batches.

    Raises:
        RunError: the loss is not finite.
    """
    for epoch in epochs:
        start = time.perf_counter()
        torch.manual_seed(torch_seed(seed, f"epoch {epoch}"))
        encoder.train()
        figures: list[tuple[float, ...]] = []
        triplets_seen = 0
        label = f"Epoch {epoch}/{epochs.stop - 1}"
        for batch in (progress or Progress()).track(sampler.epoch(epoch), len(sampler), label, "batches"):
            embeddings = stored.embeddings(images[batch.images], precision)
            triplets = Triplets(*(index.to(precision.device) for index in batch.triplets))
            value = loss(embeddings, labels[batch.images].to(precision.device), triplets)
            if not torch.isfinite(value.objective):
                raise RunError(
                    f"the loss is {value.objective.item()} in epoch {epoch}: the weights have left the range of "
                    "numbers; lower optimizer.lr, or try --precision fp32"
                )
            optimizer.zero_grad(set_to_none=True)
            value.objective.backward()
            optimizer.step()
            d_ap, d_an = triplet_distances(embeddings.detach(), triplets, distance)
            figures.append((value.elements.mean().item(), (d_ap < d_an).double().mean().item(), d_ap.mean().item(),
                            d_an.mean().item(), (value.elements > 0).double().mean().item()))  # fmt: skip
            triplets_seen += len(d_ap)
        seconds = time.perf_counter() - start
        mean_loss, accuracy, d_ap_mean, d_an_mean, active = torch.tensor(figures, dtype=torch.float64).mean(0).tolist()
        yield EpochResult(
            epoch, mean_loss, accuracy, d_ap_mean, d_an_mean, active, 3 * triplets_seen / seconds, seconds
        )


@torch.no_grad()
def embed_stored(encoder: Encoder, stored: Stored, images: Tensor, precision: Precision) -> Tensor:
    """Embeddings `[n, D]` of stored images in inference mode, on the CPU."""
    encoder.eval()
    chunks = [stored.embeddings(chunk, precision).float().cpu() for chunk in images.split(CHUNK)]
    return torch.cat(chunks)


def triplet_distances(embeddings: Tensor, triplets: Triplets, distance: Distance) -> tuple[Tensor, Tensor]:
    """d_ap and d_an, each `[T]`, of triplets of embeddings `[N, D]`."""
    anchor, positive, negative = (embeddings[index] for index in triplets)
    return distance(anchor, positive), distance(anchor, negative)
