"""From a config and what has been prepared to what trains: stored feature maps, sampler, loss, stepper, optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from siamesekit.config import Config
from siamesekit.data.augmentations.augmentation import Augmentation, augment
from siamesekit.data.pixel_store import GIB, cache_folder
from siamesekit.data.samplers.accepted import PluginSampler, refuse_what_changes
from siamesekit.data.samplers.batch import Batch, Sampler
from siamesekit.distances.distance import Distance
from siamesekit.engine.averaging import WeightAverage
from siamesekit.engine.checkpoints import Stateful
from siamesekit.engine.descent import Descent
from siamesekit.engine.feature_store import FeatureStore
from siamesekit.engine.frozen_prefix import Stored, Views, store
from siamesekit.engine.held_out import HeldOut
from siamesekit.engine.layer_rates import layer_groups
from siamesekit.engine.precision import Precision
from siamesekit.engine.random_state import drawing_from
from siamesekit.engine.steps import Stepper, why_whole
from siamesekit.engine.trial import chunking, memory_budget, trial
from siamesekit.errors import ComponentError, PluginError, UserError
from siamesekit.losses.loss import Loss
from siamesekit.memory_advice import for_memory
from siamesekit.miners.miner import Miner
from siamesekit.model import Encoder
from siamesekit.preparation import Built, Data, memory_for
from siamesekit.progress import Progress
from siamesekit.randomness import torch_seed
from siamesekit.registry import AUGMENTATIONS, DISTANCES, LOSSES, MINERS, OPTIMIZERS, SAMPLERS, SCHEDULES
from siamesekit.schedules.schedule import Schedule

PLANNED = 2048
"""So many batches of an epoch are looked at before training."""
FROZEN = "frozen"
"""The cache folder's part for feature maps."""


@dataclass(frozen=True)
class Training:
    """What training is made of, built and put together.

    Attributes:
        stepper: losses and gradients of batches.
        labels: int64 `[N]`, individuals of the training photos, numbered 0 … C − 1.
        sampler: batches over the N training photos.
        distance: of the run.
        loss: in the device's memory.
        miner: where there is one.
        descent: moves what trains.
    """

    stepper: Stepper
    labels: Tensor
    sampler: Sampler
    distance: Distance
    loss: Loss
    miner: Miner | None
    descent: Descent

    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint keeps."""
        found: dict[str, Stateful] = {"encoder": self.stepper.encoder, "descent": self.descent}
        for name, part in (("loss", self.loss), ("sampler", self.sampler), ("miner", self.miner)):
            if hasattr(part, "state_dict") and hasattr(part, "load_state_dict"):
                found[name] = cast(Stateful, part)
        return found


@dataclass(frozen=True)
class Recipe:
    """What a batch is made into a loss by, built and fitting together.

    Attributes:
        distance: of the run.
        loss: in the device's memory.
        miner: where there is one.
        batches: an epoch's first ones, as planned: to measure by.
        steps: how many batches an epoch has.
    """

    distance: Distance
    loss: Loss
    miner: Miner | None
    batches: Sequence[Batch]
    steps: int


def build_recipe(config: Config, data: Data, encoder: Encoder, precision: Precision) -> Recipe:
    """Distance, loss, miner and planned batches.

    Raises:
        ComponentError: the sampler needs what the data does not have.
        UserError: the loss has an optimizer of its own and nothing for it to move.
    """
    distance: Distance = DISTANCES.build(config.distance.component, config.distance.options)
    loss = build_loss(config, data, encoder, distance, precision)
    miner = build_miner(config, distance, precision)
    return Recipe(distance, loss, miner, *planned_batches(config, data, encoder, distance))


def training_labels(data: Data) -> NDArray[np.int64]:
    """Individuals of the training photos, numbered 0 … C − 1 among themselves: int64 `[N]`."""
    return np.unique(data.labels[list(data.split.train)], return_inverse=True)[1].astype(np.int64)


def build_loss(config: Config, data: Data, encoder: Encoder, distance: Distance, precision: Precision) -> Loss:
    """The loss, in the device's memory; what it draws for its parameters comes from the seed.

    Raises:
        UserError: it has an optimizer of its own and nothing for it to move.
    """
    what = f"loss {config.loss.component!r}"
    with drawing_from(torch_seed(config.seed, "loss")), memory_for(what, "lower its options"):
        loss: Loss = LOSSES.build_for_run(
            config.loss.component,
            config.loss.options,
            distance=distance,
            embedding_dim=encoder.head.embedding_dim,
            num_classes=int(training_labels(data).max()) + 1,
            seed=config.seed,
        )
        if isinstance(loss, nn.Module):
            loss.to(precision.device)
    if config.loss.optimizer is not None and not _trained(loss):
        raise UserError(f"loss.optimizer: loss {config.loss.component!r} has no parameters to train: remove the table")
    return loss


def build_miner(config: Config, distance: Distance, precision: Precision) -> Miner | None:
    """The miner that the config names, in the device's memory."""
    if config.miner is None:
        return None
    miner: Miner = MINERS.build_for_run(
        config.miner.component, config.miner.options, distance=distance, seed=config.seed
    )
    if isinstance(miner, nn.Module):
        miner.to(precision.device)
    return miner


def build_sampler(config: Config, data: Data, distance: Distance, part: Sequence[int] | None = None) -> Sampler:
    """The sampler over the training photos, or over another part.

    Raises:
        ComponentError: it needs what the data does not have.
    """
    groups, part = data.groups(), list(data.split.train if part is None else part)
    sampler: Sampler = SAMPLERS.build(
        config.sampler.component,
        config.sampler.options,
        labels=np.unique(data.labels[part], return_inverse=True)[1].astype(np.int64),
        groups=None if groups is None else groups[part],
        batch_size=config.sampler.batch_size,
        distance=distance,
        seed=config.seed,
    )
    return sampler


def planned_batches(
    config: Config, data: Data, encoder: Encoder, distance: Distance, part: Sequence[int] | None = None
) -> tuple[list[Batch], int]:
    """An epoch's batches, of more than `PLANNED` the first, and how many it has.

    A sampler that plans by embeddings is given random ones.
    """
    sampler = build_sampler(config, data, distance, part)
    if (mine := getattr(sampler, "mine", None)) is not None:
        random = torch.Generator().manual_seed(torch_seed(config.seed, "planned embeddings"))
        shape = len(data.split.train if part is None else part), cast(int, encoder.head.embedding_dim)
        mine(1, lambda: torch.randn(shape, generator=random))
    batches = list(islice(sampler.epoch(1), PLANNED))
    if isinstance(sampler, PluginSampler):
        refuse_what_changes(sampler, batches, list(islice(sampler.epoch(1), PLANNED)))
    return batches, len(sampler)


def held_out(config: Config, data: Data, encoder: Encoder, recipe: Recipe) -> HeldOut:
    """The test photos, dealt to batches as the training photos are where the loss is over more than given triplets."""
    loss = recipe.loss
    by_triplets = all(batch.triplets is not None for batch in recipe.batches) and getattr(loss, "takes_tuples", True)
    batches: list[Batch] | None = None
    if not getattr(loss, "by_class", False) and (recipe.miner is not None or not by_triplets):
        try:
            batches, _ = planned_batches(config, data, encoder, recipe.distance, data.split.test)
        except (ComponentError, PluginError):  # such as too few individuals for the sampler: there is no test loss
            batches = []
    return HeldOut.of(data.labels, data.split, config.seed, batches)


def build_descent(config: Config, encoder: Encoder, loss: Loss, batches: int) -> Descent:
    """Optimizers, schedule, clipping and average.

    Args:
        config: the run's.
        encoder: what trains of it moves.
        loss: its parameters move too, where it has some.
        batches: of an epoch.
    """
    table = config.optimizer
    rates: list[float] | None = None
    params: list[Any] = encoder.trainable()
    if table.layer_decay < 1:
        params, rates = layer_groups(encoder, table.layer_decay)
    optimizer: torch.optim.Optimizer = OPTIMIZERS.build(table.component, table.options, params=params)
    lr = float(optimizer.param_groups[0]["lr"])
    of_loss: torch.optim.Optimizer | None = None
    if trained := _trained(loss):
        own = config.loss.optimizer or table
        of_loss = OPTIMIZERS.build(own.component, own.options, params=trained)
    schedule: Schedule | None = None
    if config.schedule is not None:
        schedule = SCHEDULES.build(
            config.schedule.component, config.schedule.options,
            steps=batches * config.train.epochs, steps_per_epoch=batches, lr=lr,
        )  # fmt: skip
    average: WeightAverage | None = None
    if config.train.average > 0:
        modules = [encoder.train(), *([loss.train()] if isinstance(loss, nn.Module) else [])]
        average = WeightAverage(modules, config.train.average)
    return Descent(optimizer, of_loss, schedule, table.clip_norm, average, rates)


def _trained(loss: Loss) -> list[nn.Parameter]:
    """The loss's own parameters."""
    return [p for p in loss.parameters() if p.requires_grad] if isinstance(loss, nn.Module) else []


def keep(config: Config, data: Data, built: Built, precision: Precision, progress: Progress) -> Stored:
    """What the encoder's frozen part makes of the photos, from an earlier run where that left it."""
    limit = int(config.encoder.cache_gib * GIB)
    folder = cache_folder()
    if folder is None:
        progress.say("This user has no home folder, so nothing is kept for later runs: set XDG_CACHE_HOME to a folder "
                     "for it")  # fmt: skip
    features = None if folder is None else FeatureStore(folder / FROZEN, limit)
    return store(built.encoder, data.images, precision, progress, views_of(config, data), features, limit)


def make_stepper(
    config: Config, batches: Sequence[Batch], encoder: Encoder, stored: Stored, precision: Precision, progress: Progress
) -> Stepper:
    """What computes losses and gradients, its batches cut up so that they fit into memory.

    Raises:
        UserError: they do not fit and cannot be cut up.
    """
    largest = max(len(batch.images) for batch in batches)
    budget = memory_budget(config.train.memory_gib, precision)
    whole = why_whole(encoder, stored, precision)
    chunks = chunking(trial(encoder, stored, precision), largest, budget, whole, for_memory(config, whole))
    return Stepper(encoder, stored, precision, chunks, progress.say)


def build_training(
    config: Config, data: Data, built: Built, stored: Stored, recipe: Recipe, precision: Precision, progress: Progress
) -> Training:
    """All that training takes.

    Raises:
        UserError: batches do not fit into memory and cannot be cut up.
    """
    encoder = built.encoder
    sampler = build_sampler(config, data, recipe.distance)
    return Training(
        stepper=make_stepper(config, recipe.batches, encoder, stored, precision, progress),
        labels=torch.from_numpy(training_labels(data)),
        sampler=sampler,
        distance=recipe.distance,
        loss=recipe.loss,
        miner=recipe.miner,
        descent=build_descent(config, encoder, recipe.loss, len(sampler)),
    )


def views_of(config: Config, data: Data) -> Views | None:
    """The views that the config's augmentation makes of the training photos."""
    if config.augmentation is None:
        return None
    table = config.augmentation
    augmentation: Augmentation = AUGMENTATIONS.build(table.component, table.options)

    def make(images: Tensor, photos: Tensor, epoch: int, view: int) -> Tensor:
        return augment(augmentation, images, photos, epoch, view, config.seed)

    return Views(torch.tensor(data.split.train), table.views, make)
