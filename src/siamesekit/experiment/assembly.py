"""Builds the trainer from a config, data and encoder: stored feature maps, sampler, loss, stepper, optimizers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import torch
from torch import nn

from siamesekit.components.distances.distance import Distance
from siamesekit.components.losses.loss import Loss
from siamesekit.components.losses.traits import traits
from siamesekit.components.matchers.matcher import Matcher
from siamesekit.components.miners.miner import Miner
from siamesekit.components.projections.projection import Projection
from siamesekit.components.samplers.accepted import PluginSampler, refuse_what_changes
from siamesekit.components.samplers.batch import Batch, Sampler
from siamesekit.components.schedules.schedule import Schedule
from siamesekit.config import Config
from siamesekit.data.pixel_store import GIB
from siamesekit.engine.chunking import chunking, memory_budget, why_whole
from siamesekit.engine.closed_form import fit_projection
from siamesekit.engine.cost import measure_cost
from siamesekit.engine.frozen.feature_cache import FeatureStore
from siamesekit.engine.frozen.prefix import CacheLimit, store
from siamesekit.engine.frozen.stored import Stored, Views
from siamesekit.engine.layer_rates import layer_groups
from siamesekit.engine.optimization import Optimization, steps_of
from siamesekit.engine.random_state import drawing_from
from siamesekit.engine.ranks.dealt_average import DealtAverage
from siamesekit.engine.ranks.dealt_optimizer import DealtOptimizer
from siamesekit.engine.ranks.leading_centers import DealtLoss
from siamesekit.engine.steps import Stepper
from siamesekit.engine.test_set import TestSet
from siamesekit.engine.training import Trainer
from siamesekit.engine.weight_average import WeightAverage
from siamesekit.errors import ComponentError, PluginError, UserError
from siamesekit.experiment.memory_advice import for_memory, for_one_photo
from siamesekit.experiment.setup import Setup
from siamesekit.experiment.shared_centers import deal_centers, optimizer_of_loss, shares_centers
from siamesekit.experiment.team_work import hand_over, views_by
from siamesekit.experiment.training_photos import training_photos, with_mirrored
from siamesekit.files.cache_folder import cache_folder
from siamesekit.hardware.memory import memory_for
from siamesekit.model import Encoder
from siamesekit.progress import Progress
from siamesekit.randomness import torch_seed
from siamesekit.registry import (
    DISTANCES,
    LOSSES,
    MATCHERS,
    MINERS,
    OPTIMIZERS,
    PROJECTIONS,
    SAMPLERS,
    SCHEDULES,
)

PLANNED = 2048
"""Most batches of an epoch that are planned before training."""
FROZEN = "frozen"
"""Subfolder of the cache folder for feature maps."""


@dataclass(frozen=True)
class Recipe:
    """Distance, loss, miner and planned batches of a run.

    Attributes:
        distance: distance of the run.
        loss: loss of the run, in the device's memory.
        miner: miner of the run, if any.
        batches: the first batches of an epoch, for estimates.
        steps: number of batches in an epoch.
    """

    distance: Distance
    loss: Loss
    miner: Miner | None
    batches: Sequence[Batch]
    steps: int


def build_recipe(setup: Setup) -> Recipe:
    """Build distance, loss, miner and planned batches.

    Raises:
        ComponentError: the data lacks something that the sampler needs.
        UserError: `loss.optimizer` is set, but the loss has no parameters to train.
    """
    table = setup.config.distance
    distance: Distance = DISTANCES.build(table.component, table.options)
    loss, miner = build_loss(setup, distance), build_miner(setup, distance)
    return Recipe(distance, loss, miner, *planned_batches(setup, distance))


def build_loss(setup: Setup, distance: Distance) -> Loss:
    """Build the loss, in the device's memory; the run's seed initializes its parameters.

    Centres that processes share stay in the memory of the CPU until they are divided (`deal_centers`).

    Raises:
        UserError: `loss.optimizer` is set, but the loss has no parameters to train.
    """
    config = setup.config
    counts = training_photos(config, setup.dataset).counts()
    what = f"loss {config.loss.component!r}"
    with drawing_from(torch_seed(config.seed, "loss")), memory_for(what, "lower its options"):
        loss: Loss = LOSSES.build_for_run(
            config.loss.component,
            config.loss.options,
            distance=distance,
            embedding_dim=setup.encoder.head.embedding_dim,
            num_classes=len(counts),
            class_counts=counts,
            seed=config.seed,
        )
        if isinstance(loss, nn.Module) and not shares_centers(config, setup.compute):
            loss.to(setup.compute.device)
    if config.loss.optimizer is not None and not _trained(loss):
        raise UserError(f"loss.optimizer: loss {config.loss.component!r} has no parameters to train: remove the table")
    return loss


def build_miner(setup: Setup, distance: Distance) -> Miner | None:
    """Build the config's miner, in the device's memory; None if there is no miner."""
    table = setup.config.miner
    if table is None:
        return None
    miner: Miner = MINERS.build_for_run(table.component, table.options, distance=distance, seed=setup.config.seed)
    if isinstance(miner, nn.Module):
        miner.to(setup.compute.device)
    return miner


def build_matcher(config: Config) -> Matcher | None:
    """Build the matcher of the report; None if no points are drawn.

    Raises:
        UserError: it needs a package or weights that are not there.
    """
    if config.report is None:
        return None
    matcher: Matcher = MATCHERS.build_for_run(config.report.component, config.report.options)
    return matcher


def build_sampler(setup: Setup, distance: Distance, part: Sequence[int] | None = None) -> Sampler:
    """Build the sampler of the training photos, or of another part of the data set.

    Raises:
        ComponentError: the data lacks something that the sampler needs.
    """
    config, dataset = setup.config, setup.dataset
    if part is None:
        training = training_photos(config, dataset)
        labels, groups = training.labels, training.groups
    else:
        labels, groups = dataset.labels_in(part), dataset.groups()
        groups = None if groups is None else groups[list(part)]
    sampler: Sampler = SAMPLERS.build(
        config.sampler.component,
        config.sampler.options,
        labels=labels,
        groups=groups,
        batch_size=config.sampler.batch_size,
        distance=distance,
        seed=config.seed,
    )
    return sampler


def planned_batches(setup: Setup, distance: Distance, part: Sequence[int] | None = None) -> tuple[list[Batch], int]:
    """The batches of an epoch, at most the first `PLANNED`, and the number of batches in an epoch.

    A sampler that plans by embeddings gets random embeddings.
    """
    sampler = build_sampler(setup, distance, part)
    if (mine := getattr(sampler, "mine", None)) is not None:
        random = torch.Generator().manual_seed(torch_seed(setup.config.seed, "planned embeddings"))
        photos = len(training_photos(setup.config, setup.dataset).images if part is None else part)
        shape = photos, cast(int, setup.encoder.head.embedding_dim)
        mine(1, lambda: torch.randn(shape, generator=random))
    batches = list(islice(sampler.epoch(1), PLANNED))
    if isinstance(sampler, PluginSampler):
        refuse_what_changes(sampler, batches, list(islice(sampler.epoch(1), PLANNED)))
    return batches, len(sampler)


def build_test_set(setup: Setup, recipe: Recipe) -> TestSet:
    """The test set, with batches like those of training if the loss uses more than the sampler's triplets."""
    loss_traits = traits(recipe.loss)
    by_triplets = all(batch.triplets is not None for batch in recipe.batches) and loss_traits.takes_tuples
    batches: list[Batch] | None = None
    if (loss_traits.takes_tuples or not loss_traits.by_class) and (recipe.miner is not None or not by_triplets):
        try:
            batches, _ = planned_batches(setup, recipe.distance, setup.dataset.split.test)
        except (ComponentError, PluginError):  # no test loss, as with too few individuals for the sampler
            batches = []
    dataset = setup.dataset
    return TestSet.of(dataset.labels, dataset.split, setup.config.seed, batches)


def build_optimization(config: Config, encoder: Encoder, loss: Loss, batches: int) -> Optimization:
    """Build optimizers, schedule, clipping and average of the weights.

    Args:
        config: config of the run.
        encoder: the encoder, whose trained parameters are optimized.
        loss: the loss, whose parameters, if any, are optimized too.
        batches: number of batches in an epoch.
    """
    table = config.optimizer
    rates: list[float] | None = None
    params: list[Any] = encoder.trainable()
    if table.layer_decay < 1:
        params, rates = layer_groups(encoder, table.layer_decay)
    optimizer: torch.optim.Optimizer = OPTIMIZERS.build(table.component, table.options, params=params)
    lr = float(optimizer.param_groups[0]["lr"])
    of_loss: torch.optim.Optimizer | DealtOptimizer | None = None
    if trained := _trained(loss):
        of_loss = optimizer_of_loss(config, trained)
        if isinstance(loss, DealtLoss):
            of_loss = DealtOptimizer(of_loss, loss.centers)
    accumulate = config.train.accumulate
    steps = steps_of(batches, accumulate)
    schedule: Schedule | None = None
    if config.schedule is not None:
        schedule = SCHEDULES.build(
            config.schedule.component,
            config.schedule.options,
            steps=steps * config.train.epochs,
            steps_per_epoch=steps,
            lr=lr,
        )
    average: WeightAverage | DealtAverage | None = None
    if config.train.average > 0:
        modules = [encoder.train(), *([loss.train()] if isinstance(loss, nn.Module) else [])]
        average = WeightAverage(modules, config.train.average)
        if isinstance(loss, DealtLoss):
            average = DealtAverage(average, loss.centers)
    return Optimization(optimizer, of_loss, schedule, table.clip_norm, average, rates, accumulate)


def _trained(loss: Loss) -> list[nn.Parameter]:
    """The loss's own trained parameters."""
    return [p for p in loss.parameters() if p.requires_grad] if isinstance(loss, nn.Module) else []


def store_frozen_part(setup: Setup, progress: Progress) -> Stored:
    """Store the frozen part's output for all photos, or load it from the cache of an earlier run."""
    limit = int(setup.config.encoder.cache_gib * GIB)
    folder = cache_folder()
    if folder is None:
        progress.say(
            "This user has no home folder, so nothing is cached for later runs: set XDG_CACHE_HOME to a folder for it"
        )
    features = None if folder is None else FeatureStore(folder / FROZEN, limit)
    images, views = with_mirrored(setup.config, setup.dataset), views_of(setup)
    hand_over(setup, images, views)
    return store(setup.encoder, images, setup.compute, progress, views, features, CacheLimit(limit))


def fit_in_closed_form(setup: Setup, stored: Stored, progress: Progress) -> None:
    """Fit the config's projection to the training photos; does nothing without a projection.

    Raises:
        DataError: the projection cannot be fitted to these photos.
        PluginError: a plugin's projection does not give a linear map of the right shape.
    """
    table, dataset = setup.config.projection, setup.dataset
    if table is None:
        return
    begun = time.perf_counter()
    photos = list(dataset.split.train)
    projection: Projection = PROJECTIONS.build(table.component, table.options)
    labels = torch.from_numpy(dataset.labels_in(photos))
    fit_projection(setup.encoder, stored, setup.compute, projection, torch.tensor(photos), labels)
    width = setup.prepared.architecture.head["projection"]
    seconds = time.perf_counter() - begun
    progress.say(f"{table.component} with {width} dimensions fitted to {len(photos)} photos in {seconds:.1f} s")


def make_stepper(setup: Setup, batches: Sequence[Batch], stored: Stored, progress: Progress) -> Stepper:
    """Build the stepper, with batches split into chunks that fit into memory.

    Raises:
        UserError: a batch does not fit into memory and cannot be split into chunks.
    """
    config, encoder, compute = setup.config, setup.encoder, setup.compute
    processes = 1 if compute.ranks is None else compute.ranks.size
    largest = max(-(-len(batch.images) // processes) for batch in batches)  # of a batch, each process has a share
    budget = memory_budget(config.train.memory_gib, compute)
    whole = why_whole(encoder, stored, compute)
    advice = for_memory(config, whole), for_one_photo(config)
    chunks = chunking(measure_cost(encoder, stored, compute), largest, budget, whole, *advice)
    return Stepper(encoder, stored, compute, chunks, progress.say)


def build_trainer(setup: Setup, recipe: Recipe, stored: Stored, progress: Progress) -> Trainer:
    """Build all parts of the training.

    Raises:
        UserError: a batch does not fit into memory and cannot be split into chunks.
    """
    training = training_photos(setup.config, setup.dataset)
    sampler = build_sampler(setup, recipe.distance)
    stepper = make_stepper(setup, recipe.batches, stored, progress)
    loss = deal_centers(setup.config, recipe.loss, setup.compute) or recipe.loss
    return Trainer(
        stepper=stepper,
        optimization=build_optimization(setup.config, setup.encoder, loss, len(sampler)),
        loss=loss,
        miner=recipe.miner,
        sampler=sampler,
        distance=recipe.distance,
        images=training.images,
        labels=torch.from_numpy(training.labels),
        names=training.names,
    )


def views_of(setup: Setup) -> Views | None:
    """The views of the training photos by the config's augmentation; None without augmentation."""
    return views_by(setup.config, training_photos(setup.config, setup.dataset).images)
