"""The training loop: one step for each batch of distinct images, an `EpochResult` for each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from siamesekit.components.distances.distance import Distance
from siamesekit.components.losses.loss import Loss
from siamesekit.components.losses.traits import traits
from siamesekit.components.miners.miner import Miner
from siamesekit.components.samplers.batch import Batch, Sampler
from siamesekit.components.tuples import Pairs, count_triplets
from siamesekit.engine.batch_loss import BatchLoss
from siamesekit.engine.checkpoints import Stateful
from siamesekit.engine.epoch import EpochResult, Midway
from siamesekit.engine.faults import LESS_MEMORY, ComponentRunError, batch_in_words, failing_as
from siamesekit.engine.frozen.stored import Stored
from siamesekit.engine.optimization import Optimization
from siamesekit.engine.random_state import restore_random_state, seed_all
from siamesekit.engine.steps import Stepper
from siamesekit.errors import RunError, out_of_memory
from siamesekit.evaluation.ranking import ranking
from siamesekit.hardware.compute import Compute
from siamesekit.model import Encoder
from siamesekit.progress import Progress


@dataclass(frozen=True)
class Trainer:
    """The parts of a training step, and the training photos.

    Attributes:
        stepper: computes losses and gradients of batches of stored images; its encoder trains in place.
        optimization: moves the weights by the gradients.
        loss: the loss to minimize; if it is a module, it trains too.
        miner: selects the triplets or pairs of each batch, in place of the sampler's; None for no miner.
        sampler: plans batches of the N training photos; its method `mine`, if any, is called before each epoch.
        distance: distance for the figures; the loss has its own.
        images: photos that train, as indices into the stored images, int64 `[N]`.
        labels: labels of these photos, 0 … C − 1, int64 `[N]`.
        names: names of these photos, for errors.
    """

    stepper: Stepper
    optimization: Optimization
    loss: Loss
    miner: Miner | None
    sampler: Sampler
    distance: Distance
    images: Tensor
    labels: Tensor
    names: Sequence[str] | None = None

    @property
    def encoder(self) -> Encoder:
        """The network that trains."""
        return self.stepper.encoder

    def parts(self) -> dict[str, Stateful]:
        """The parts whose states a checkpoint keeps, by their names in the file."""
        found: dict[str, Stateful] = {"encoder": self.encoder, "descent": self.optimization}
        for name, part in (("loss", self.loss), ("sampler", self.sampler), ("miner", self.miner)):
            if hasattr(part, "state_dict") and hasattr(part, "load_state_dict"):
                found[name] = cast(Stateful, part)
        return found

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings `[n, D]` of stored images, int64 `[n]`, in inference mode, on the CPU."""
        return embed_stored(self.encoder, self.stepper.stored, images, self.stepper.compute)


def train(
    trainer: Trainer,
    epochs: range,
    seed: int = 0,
    progress: Progress | None = None,
    midway: Midway | None = None,
    after_step: Callable[[Midway], None] | None = None,
) -> Iterator[EpochResult]:
    """Train, and yield an `EpochResult` after each epoch; between epochs the caller may evaluate and save.

    A step takes one batch or a group of batches (`Optimization`). A batch in which the miner finds nothing adds nothing
    to a step.

    Args:
        trainer: the parts that train, and the training photos.
        epochs: epochs to train, from 1.
        seed: seed of the run; seed and epoch together seed torch, for dropout and the like.
        progress: shows the batches.
        midway: saved progress within the first epoch, which is continued from there.
        after_step: called after each batch; may save or raise.

    Raises:
        RunError: the loss or its gradient is not finite, no batch holds a triplet, or memory runs out.
        ComponentRunError: a component failed; the error names the component, the batch and its photos.
    """
    stepper, optimization, loss, miner = trainer.stepper, trainer.optimization, trainer.loss, trainer.miner
    sampler, images, labels, names = trainer.sampler, trainer.images, trainer.labels, trainer.names
    encoder, compute = trainer.encoder, stepper.compute
    by_class = traits(loss).by_class
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
                    mine(epoch, lambda: trainer.embed(images))
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
                    individuals = labels[batch.images].to(compute.device)
                    batch_loss = BatchLoss(loss, miner, individuals, batch.triplets)
                optimization.begin_batch(number)
                value, embeddings = stepper(images[batch.images], batch_loss, epoch)
                due = optimization.end_batch(number, len(sampler), batch_loss.empty)
                norm = optimization.gradient_norm().item()
                with failing_as("loss"):
                    sizes = {"loss": value.objective.item(), "gradient": norm}
                for what, size in sizes.items():
                    if not math.isfinite(size):
                        raise RunError(_overflow(what, size, epoch, number, _names_of(batch, names)))
                so_far.empty += batch_loss.empty
                if due:
                    optimization.step(optimization.step_number(epoch, number, len(sampler)))
                else:
                    norm = math.nan
                with failing_as("distance"):
                    accuracy, d_ap, d_an = ranking(embeddings, individuals, batch_loss.tuples, trainer.distance)
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
            raise RunError(f"no batch of epoch {epoch} holds a triplet (two photos of one individual, one of another)")
        seconds = earlier + time.perf_counter() - start
        table = torch.tensor(so_far.rows, dtype=torch.float64)
        mean, accuracy, d_ap, d_an, active, variance, norm = table.nanmean(0).tolist()
        yield EpochResult(
            epoch,
            mean,
            accuracy,
            d_ap,
            d_an,
            active,
            so_far.empty / len(so_far.rows),
            variance,
            norm,
            optimization.lr,
            so_far.images_asked / seconds,
            seconds,
        )


def embedding_variance(embeddings: Tensor) -> Tensor:
    """Total variance of embeddings `[N, D]` (summed over dimensions), divided by their mean squared length.

    The scalar is 0 if all embeddings are alike and near 1 if they point in all directions. For embeddings of length 1
    it is the total variance itself. It is NaN if all embeddings are 0.
    """
    embeddings = embeddings.double()
    spread = (embeddings - embeddings.mean(0)).square().sum(1).mean()
    return spread / embeddings.square().sum(1).mean()


def _planned(sampler: Sampler, epoch: int) -> Iterator[Batch]:
    """The batches of a sampler; its errors become failures of the sampler."""
    with failing_as("sampler", f"planning epoch {epoch}"):
        yield from sampler.epoch(epoch)


@contextmanager
def _at(epoch: int, number: int, batch: Batch, names: Sequence[str] | None) -> Iterator[None]:
    """Add the batch and its photos to the failures of a step."""
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
    """The names of a batch's photos, as far as its indices are valid."""
    if names is None or not isinstance(getattr(batch, "images", None), Tensor):
        return None
    return [names[i] for i in batch.images.flatten().tolist() if isinstance(i, int) and -len(names) <= i < len(names)]


def _overflow(what: str, size: float, epoch: int, number: int, photos: Sequence[str] | None) -> str:
    where = batch_in_words(epoch, number, photos)
    return (
        f"the {what} is {size} in {where}: the weights have overflowed, or the loss cannot handle the embeddings of "
        "these photos; lower optimizer.lr, set optimizer.clip_norm = 1.0, or try --precision fp32"
    )


@torch.no_grad()
def embed_stored(encoder: Encoder, stored: Stored, images: Tensor, compute: Compute) -> Tensor:
    """Embeddings `[n, D]` of stored images in inference mode, on the CPU."""
    encoder.eval()
    if stored.team is not None:
        return encoder.embed_features(stored.team.features(images)).float().cpu()
    chunks = (stored.embeddings(chunk, compute) for chunk in images.split(stored.chunk))
    return torch.cat([encoder.after_neck(chunk).float().cpu() for chunk in chunks])
