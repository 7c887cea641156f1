"""The training loop: batches of distinct images, one step each, an `EpochResult` for each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from siamesekit.data.samplers.batch import Batch, Sampler
from siamesekit.distances.distance import Distance
from siamesekit.engine.descent import Descent
from siamesekit.engine.faults import LESS_MEMORY, ComponentRunError, batch_in_words, failing_as
from siamesekit.engine.frozen_prefix import CHUNK, Stored
from siamesekit.engine.precision import Precision
from siamesekit.engine.random_state import random_state, restore_random_state, seed_all
from siamesekit.engine.ranking import ranking
from siamesekit.engine.steps import Stepper
from siamesekit.errors import RunError, out_of_memory
from siamesekit.losses.loss import Loss, LossValue, loss_value
from siamesekit.miners.miner import Miner
from siamesekit.model import Encoder
from siamesekit.progress import Progress
from siamesekit.triplets import Pairs, Triplets, Tuples, count_triplets


@dataclass(frozen=True)
class EpochResult:
    """What an epoch of training showed; figures are unweighted means over its batches, NaN where no batch has one.

    Triplets are the sampler's or the miner's; where there are none of either, all that the individuals of a batch make.
    A batch without any has no figure of them.

    Attributes:
        epoch: counted from 1.
        loss: mean loss of a triplet, or of whatever the loss is over, before each batch's step.
        accuracy: share of triplets with d_ap < d_an, strictly, before each batch's step.
        d_ap_mean: mean distance from anchor to positive; where all triplets or pairs count, of a positive pair.
        d_an_mean: mean distance from anchor to negative; where all triplets or pairs count, of a negative pair.
        active_triplets: share of the loss's terms, such as triplets, with a loss above 0.
        empty_batches: share of the batches in which the miner found nothing, so that there was no step.
        embedding_variance: of a batch, as `embedding_variance`: near 0 where all embeddings are alike.
        gradient_norm: global norm of the encoder's gradient, before clipping, over the batches with a step.
        lr: learning rate at the last step, of the head where layers have their own.
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
    empty_batches: float
    embedding_variance: float
    gradient_norm: float
    lr: float
    images_per_second: float
    seconds: float


@dataclass
class Midway:
    """How far an epoch has come: with a checkpoint's other states it is all that going on within it takes.

    Attributes:
        epoch: which, counted from 1.
        batches: done.
        rows: the figures of each of them.
        images_asked: image passes asked for.
        empty: batches in which the miner found nothing.
        any_loss: whether a batch has had a loss.
        any_triplet: whether a batch held a triplet.
        seconds: that it took so far.
        random: the random generators' states, of one that was saved.
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
        """Itself as plain values, with the random generators' states of now."""
        return vars(self) | {"rows": list(self.rows), "random": random_state()}


def train(
    stepper: Stepper,
    images: Tensor,
    labels: Tensor,
    sampler: Sampler,
    distance: Distance,
    loss: Loss,
    descent: Descent,
    epochs: range,
    seed: int = 0,
    progress: Progress | None = None,
    miner: Miner | None = None,
    names: Sequence[str] | None = None,
    midway: Midway | None = None,
    after_step: Callable[[Midway], None] | None = None,
) -> Iterator[EpochResult]:
    """Train, giving an `EpochResult` after each epoch; between two the caller may evaluate and save.

    A batch in which the miner finds nothing makes no step.

    Args:
        stepper: computes losses and gradients of batches of stored images; its encoder trains, in place.
        images: int64 `[N]`, the training photos, as indices into what is stored.
        labels: int64 `[N]`, their individuals, numbered 0 … C − 1.
        sampler: plans batches over the N training photos; where it has `mine`, that is called before each epoch.
        distance: for the figures; the loss has its own.
        loss: what is minimised; where it is a module it trains too.
        descent: moves what trains.
        epochs: which epochs to do, counted from 1.
        seed: the run's; with the epoch it seeds torch, for dropout and the like.
        progress: is shown the batches.
        miner: chooses the triplets or pairs of each batch, in place of the sampler's.
        names: of the N photos, for errors.
        midway: where the first epoch had come to when it was saved; the rest of it is done.
        after_step: is called after each step, and may save or raise.

    Raises:
        RunError: the loss or its gradient is not finite, no batch holds a triplet, or memory does not suffice.
        ComponentRunError: a component raised something; the error names it, the batch and its photos.
    """
    encoder, precision = stepper.encoder, stepper.precision
    by_class = bool(getattr(loss, "by_class", False))
    for epoch in epochs:
        start = time.perf_counter()
        if midway is not None and midway.epoch == epoch:
            so_far = midway
            if so_far.random is not None:
                restore_random_state(so_far.random)
        else:
            so_far = Midway(epoch)
            seed_all(seed, f"epoch {epoch}")
            if (mine := getattr(sampler, "mine", None)) is not None:
                with failing_as("sampler", f"mining before epoch {epoch}"):
                    mine(epoch, lambda: embed_stored(encoder, stepper.stored, images, precision))
        earlier, done = so_far.seconds, so_far.batches
        encoder.train()
        if isinstance(loss, nn.Module):
            loss.train()
        label = f"Epoch {epoch}/{epochs.stop - 1}"
        shown = (progress or Progress()).track(_planned(sampler, epoch), len(sampler), label, "batches")
        for number, batch in enumerate(shown):
            if number < done:
                continue
            with _at(epoch, number, batch, names):
                with failing_as("sampler"):
                    individuals = labels[batch.images].to(precision.device)
                    batch_loss = BatchLoss(loss, miner, individuals, batch.triplets)
                descent.zero_grad()
                value, embeddings = stepper(images[batch.images], batch_loss, epoch)
                norm = descent.gradient_norm().item()
                with failing_as("loss"):
                    sizes = {"loss": value.objective.item(), "gradient": norm}
                for what, size in sizes.items():
                    if not math.isfinite(size):
                        raise RunError(_left_the_numbers(what, size, epoch, number, _names_of(batch, names)))
                if batch_loss.empty:
                    so_far.empty += 1
                    norm = math.nan
                else:
                    descent.step((epoch - 1) * len(sampler) + number)
                with failing_as("distance"):
                    accuracy, d_ap, d_an = ranking(embeddings, individuals, batch_loss.tuples, distance)
                counts = not batch_loss.empty and (
                    by_class or isinstance(batch_loss.tuples, Pairs) or not math.isnan(accuracy)
                )
                so_far.any_loss |= counts
                so_far.any_triplet |= counts or bool(count_triplets(individuals) > 0)
                mean, active = (value.mean.item(), value.active.item()) if counts else (math.nan, math.nan)
            so_far.rows.append((mean, accuracy, d_ap, d_an, active, embedding_variance(embeddings).item(), norm))
            given = None if miner else batch.triplets
            so_far.images_asked += len(batch.images) if given is None else 3 * len(given.anchor)
            so_far.batches += 1
            so_far.seconds = earlier + time.perf_counter() - start
            if after_step is not None:
                after_step(so_far)
        if not so_far.any_loss and not (miner is not None and so_far.any_triplet):
            raise RunError(f"no batch of epoch {epoch} holds a triplet: two photos of an individual and one of another")
        seconds = earlier + time.perf_counter() - start
        table = torch.tensor(so_far.rows, dtype=torch.float64)
        mean, accuracy, d_ap, d_an, active, variance, norm = table.nanmean(0).tolist()
        yield EpochResult(
            epoch, mean, accuracy, d_ap, d_an, active, so_far.empty / len(so_far.rows), variance, norm, descent.lr,
            so_far.images_asked / seconds, seconds,
        )  # fmt: skip


def embedding_variance(embeddings: Tensor) -> Tensor:
    """Total variance of embeddings `[N, D]`, Σ over dimensions, over their mean squared length: scalar, 0 to 1.

    0 where all embeddings are alike, near 1 where they point in all directions; of embeddings of length 1 it is the
    total variance itself. Not a number where all are 0.
    """
    embeddings = embeddings.double()
    spread = (embeddings - embeddings.mean(0)).square().sum(1).mean()
    return spread / embeddings.square().sum(1).mean()


def _planned(sampler: Sampler, epoch: int) -> Iterator[Batch]:
    """A sampler's batches, what it raises told as its failure."""
    with failing_as("sampler", f"planning epoch {epoch}"):
        yield from sampler.epoch(epoch)


@contextmanager
def _at(epoch: int, number: int, batch: Batch, names: Sequence[str] | None) -> Iterator[None]:
    """A step, whose failures are told with the batch and its photos."""
    try:
        with failing_as("a training step"):
            yield
    except ComponentRunError as failed:
        failed.where = failed.where or batch_in_words(epoch, number, _names_of(batch, names))
        raise
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        where = batch_in_words(epoch, number, _names_of(batch, names))
        raise RunError(f"Out of memory in {where}; {LESS_MEMORY}") from error


def _names_of(batch: Batch, names: Sequence[str] | None) -> list[str] | None:
    """The names of a batch's photos, as far as its indices make sense."""
    if names is None or not isinstance(getattr(batch, "images", None), Tensor):
        return None
    return [names[i] for i in batch.images.flatten().tolist() if isinstance(i, int) and -len(names) <= i < len(names)]


def _left_the_numbers(what: str, size: float, epoch: int, number: int, photos: Sequence[str] | None) -> str:
    where = batch_in_words(epoch, number, photos)
    return (
        f"the {what} is {size} in {where}: the weights have left the range of numbers, or these photos give what the "
        "loss cannot take; lower optimizer.lr, set optimizer.clip_norm = 1.0, or try --precision fp32"
    )


class BatchLoss:
    """The loss of one batch as a function of its embeddings alone.

    Attributes:
        tuples: those of the sampler, or once it has been called those of the miner; None where all count.
        empty: whether the miner found none: then the loss is a constant 0.
    """

    def __init__(self, loss: Loss, miner: Miner | None, individuals: Tensor, triplets: Triplets | None) -> None:
        self.loss = loss
        self.miner = miner
        self.individuals = individuals
        self.tuples: Tuples | None = triplets and Triplets(*(index.to(individuals.device) for index in triplets))
        self.empty = False

    def __call__(self, embeddings: Tensor) -> LossValue:
        """The loss of embeddings `[n, D]`.

        Raises:
            ComponentRunError: loss or miner raised something.
        """
        if self.miner is not None:
            with failing_as("miner"), torch.no_grad():
                self.tuples = self.miner(embeddings.detach(), self.individuals)
                self.empty = all(len(index) == 0 for index in self.tuples)
        if self.empty:
            return LossValue(*(embeddings.new_zeros(()) for _ in range(3)))
        with failing_as("loss"):
            return loss_value(self.loss(embeddings, self.individuals, self.tuples))


@torch.no_grad()
def embed_stored(encoder: Encoder, stored: Stored, images: Tensor, precision: Precision) -> Tensor:
    """Embeddings `[n, D]` of stored images in inference mode, on the CPU."""
    encoder.eval()
    chunks = [stored.embeddings(chunk, precision).float().cpu() for chunk in images.split(CHUNK)]
    return torch.cat(chunks)
