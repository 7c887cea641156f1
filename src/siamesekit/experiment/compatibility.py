"""Finds, before training, components that cannot be combined: by their traits and by trying them together."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from siamesekit.components.augmentations.augmentation import Augmentation, augment
from siamesekit.components.distances.accepted import refuse_what_is_none
from siamesekit.components.distances.distance import Distance, range_of
from siamesekit.components.encoders.lora import add_lora
from siamesekit.components.losses.loss import Loss, loss_value, problem_of_value
from siamesekit.components.losses.measure import ranks_as_cosine
from siamesekit.components.losses.traits import traits
from siamesekit.components.miners.miner import Miner, problem_of_tuples
from siamesekit.components.samplers.batch import Batch
from siamesekit.components.schedules.schedule import Schedule
from siamesekit.components.tuples import Tuples, positives_of
from siamesekit.config import Config
from siamesekit.engine.random_state import drawing_from
from siamesekit.errors import ComponentError, MissingWeightsError, PluginError, SiamesekitError, UserError
from siamesekit.experiment.shared_centers import refuse_undivided
from siamesekit.experiment.tracking import refuse_missing_trackers
from siamesekit.hardware.memory import memory_for
from siamesekit.hardware.no_values import without_values
from siamesekit.model import Architecture, build
from siamesekit.registry import AUGMENTATIONS, DISTANCES, ENCODERS, LOSSES, MINERS, OPTIMIZERS, SCHEDULES
from siamesekit.registry.component_faults import called, fault, is_own, told
from siamesekit.registry.culprits import culprit

TRIED_PHOTOS = 3
"""Photos on which an augmentation is tried."""
FROM_STREAMS = (
    "draw a number for each photo from streams, or take a single image and draw from the global generator of torch, "
    "Python or NumPy"
)
DIMENSIONS = 8
"""Dimensions of the embeddings for which a loss is built to read its traits."""
TRIED = 1000
"""Most steps for which a schedule is tried."""


def refuse_what_does_not_fit(config: Config) -> None:
    """Refuse components that cannot be built or combined with the loss, before any data is read.

    Raises:
        UserError: the package of a tracker is missing.
        ComponentError: a component refuses its options, the distance has weights, the loss takes no tuples but there is
            a miner, or the loss measures by the cosine but the run's distance ranks differently.
    """
    refuse_missing_trackers(config)
    _try_augmentation(config)
    _try_optimization(config)
    _try_encoder(config)
    name = config.loss.component
    with _buildable("distance", config.distance.component):
        distance: Distance = DISTANCES.build(config.distance.component, config.distance.options)
    if isinstance(distance, nn.Module) and (held := [*distance.state_dict()]):
        raise ComponentError(
            f"distance {config.distance.component!r} holds tensors of its own ({', '.join(held[:3])}), which a run "
            "neither trains nor saves: make them options, or put them into the encoder"
        )
    component = DISTANCES.get(config.distance.component)
    if not is_own(component):
        refuse_what_is_none(distance, component)
    with drawing_from(), _buildable("loss", name), memory_for(f"loss {name!r}", "lower its options"):
        loss: Loss = LOSSES.build_for_run(
            name,
            config.loss.options,
            distance=distance,
            embedding_dim=DIMENSIONS,
            num_classes=4,
            class_counts=[1, 2, 3, 4],
            seed=config.seed,
        )
    refuse_undivided(config, loss)
    if config.miner is not None:
        with drawing_from(), _buildable("miner", config.miner.component):
            MINERS.build_for_run(config.miner.component, config.miner.options, distance=distance, seed=config.seed)
    of_loss = traits(loss)
    option = of_loss.assumes_unit_length
    if option is not None and not config.encoder.head.normalize:
        raise ComponentError(
            f"loss {config.loss.component!r}: there is no default {option} with distance "
            f"{config.distance.component!r} and embeddings of any length: set loss.{option}, or "
            "encoder.head.normalize = true"
        )
    if config.miner is not None and not of_loss.takes_tuples:
        compares = "compares embeddings with classes" if of_loss.by_class else "uses the whole batch"
        raise ComponentError(
            f"loss {name!r} {compares} and takes no triplets or pairs from a miner: remove [miner] "
            f"(name = {config.miner.component!r})"
        )
    if of_loss.measures_by == "cosine" and not ranks_as_cosine(distance, config.encoder.head.normalize):
        raise ComponentError(
            f"loss {name!r} measures by the cosine, but distance {config.distance.component!r} ranks differently: "
            'set distance.name = "cosine"'
        )


@contextmanager
def _buildable(kind: str, name: str) -> Iterator[None]:
    """Turn errors of building a component, lack of memory included, into errors of its options."""
    try:
        yield
    except (ArithmeticError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        raise ComponentError(f"{kind} {name!r} cannot be built with these options: {told(error)}") from error


def _try_encoder(config: Config) -> None:
    """Build the encoder without memory for its weights, and check its block names, LoRA and the image size.

    A network that cannot be built this way is checked later, when the photos have been read.
    """
    table = config.encoder
    head = table.head.model_dump()
    architecture = Architecture(table.name, table.options, head, table.batchnorm, table.pooling)
    try:
        ENCODERS.factory(table.name)  # imported outside the block: some imports of torch fail on the meta device
        with drawing_from(), without_values():
            encoder = build(architecture)
            encoder.backbone.freeze_before(table.train_from)
            if table.lora is not None:
                add_lora(encoder.backbone, **table.lora.model_dump())
    except MissingWeightsError:  # weights of a hub; a stand-in may take their place
        return
    except SiamesekitError:
        raise
    except Exception:  # a network that needs tensors with values may raise anything
        return
    encoder.backbone.check_size(config.data.size, config.data.size)


def margins_out_of_reach(config: Config, loss: Loss, distance: Distance) -> str | None:
    """A warning about a margin that no distance of the run's embeddings can reach; None if there is none.

    Training continues nevertheless, with a loss on pairs or triplets that cannot become any better.
    """
    out_of_reach = traits(loss).out_of_reach
    between = range_of(distance, config.encoder.head.normalize)
    if out_of_reach is None or between is None or (found := out_of_reach(*between)) is None:
        return None
    kind = " of embeddings of length 1" if config.encoder.head.normalize else ""
    return (
        f"loss {config.loss.component!r}: {found}; distance {config.distance.component!r}{kind} ranges from "
        f"{between[0]:g} to {between[1]:g}"
    )


def _try_augmentation(config: Config) -> None:
    """Make views of random images; a second call, and a call with a single image, must give the same views.

    Raises:
        UserError: the augmentation fails, or its views depend on more than the photo and its random numbers.
    """
    if config.augmentation is None:
        return
    table = config.augmentation
    augmentation: Augmentation = AUGMENTATIONS.build(table.component, table.options)
    shape = (TRIED_PHOTOS, 3, config.data.size, config.data.size)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    given, photos = images.clone(), torch.arange(TRIED_PHOTOS)
    for epoch in (1, 2):
        views = augment(augmentation, given, photos, epoch, 0, config.seed)
        again = augment(augmentation, images.clone(), photos, epoch, 0, config.seed)
        last = augment(augmentation, images[-1:].clone(), photos[-1:], epoch, 0, config.seed)
        named = called(AUGMENTATIONS.get(table.component))
        if not torch.equal(given, images):
            raise PluginError(f"{named} changes the photos that it is given: work on a copy, images.clone()")
        if not _alike(views, again):
            raise PluginError(
                f"{named} gives different views of the same photos when it is called again, so a run could "
                f"not be resumed: {FROM_STREAMS}"
            )
        if not _alike(views[-1:], last):
            raise PluginError(
                f"{named} gives a photo a different view when it is called with other photos: {FROM_STREAMS}"
            )


def _alike(views: Tensor, others: Tensor) -> bool:
    """Whether views `[N, 3, S, S]` are the same apart from rounding."""
    return bool((views.int() - others.int()).abs().double().mean() < 0.5)


def _try_optimization(config: Config) -> None:
    """Try the optimizers on a parameter, and the schedule for up to `TRIED` steps, with one step per epoch."""
    for table in (config.optimizer, config.loss.optimizer):
        if table is None:
            continue
        parameter = nn.Parameter(torch.ones(2, 3))
        parameter.grad = torch.ones(2, 3)
        try:
            OPTIMIZERS.build(table.component, table.options, params=[parameter]).step()
        except SiamesekitError:
            raise
        except Exception as error:  # a plugin may raise anything
            component = OPTIMIZERS.get(table.component)
            if not is_own(component):
                raise PluginError(fault(error, component, "step")) from error
            raise ComponentError(
                f"optimizer {table.component!r} cannot make a step with these options: {told(error)}"
            ) from error
    if config.schedule is not None:
        lr = config.optimizer.options.get("lr", 1.0)
        schedule: Schedule = SCHEDULES.build(
            config.schedule.component, config.schedule.options, steps=config.train.epochs, steps_per_epoch=1, lr=lr
        )
        for step in range(min(config.train.epochs, TRIED)):
            schedule(step)


def try_on_batches(
    config: Config, loss: Loss, miner: Miner | None, batches: Sequence[Batch], labels: Tensor, embedding_dim: int
) -> None:
    """Try loss and miner together on the largest batch of an epoch, the smallest, and the largest again.

    In the last batch two photos have equal embeddings, as copies of a photo would. The same copies of loss and miner
    are used for all three batches, as in training.

    Args:
        config: config of the run.
        loss: the loss; it is copied.
        miner: the miner; it is copied.
        batches: batches of the run's sampler.
        labels: labels of the training photos, from 0, int64 `[N]`.
        embedding_dim: dimensions of the run's embeddings.

    Raises:
        UserError: loss and miner cannot work together; the message quotes the component that refuses.
    """
    if not batches:
        return
    loss, miner = copy.deepcopy(loss), copy.deepcopy(miner)
    size = [len(batch.images) for batch in batches]
    largest, smallest = batches[size.index(max(size))], batches[size.index(min(size))]
    for batch, copies in ((largest, False), (smallest, False), (largest, True)):
        try_on_a_batch(config, loss, miner, batch, labels, embedding_dim, copies)


def try_on_a_batch(
    config: Config,
    loss: Loss,
    miner: Miner | None,
    batch: Batch,
    labels: Tensor,
    embedding_dim: int,
    copies: bool = False,
) -> None:
    """Run loss and miner forward and backward on a batch's individuals with random embeddings, as in training.

    Args:
        config: config of the run.
        loss: the loss; it is not copied.
        miner: the miner; it is not copied.
        batch: a batch of the run's sampler.
        labels: labels of the training photos, from 0, int64 `[N]`.
        embedding_dim: dimensions of the run's embeddings.
        copies: whether two photos of an individual have equal embeddings.

    Raises:
        UserError: loss and miner cannot work together; the message quotes the component that refuses.
    """
    for part in (loss, miner):
        if isinstance(part, nn.Module):
            part.cpu()
    with drawing_from(0):
        individuals = labels[batch.images]
        embeddings = torch.randn(len(batch.images), embedding_dim)
        embeddings = embeddings / embeddings.norm(dim=1, keepdim=True)
        if copies:
            photo, mask = positives_of(individuals)
            first, column = mask.nonzero(as_tuple=True)
            embeddings[first[:1]] = embeddings[photo[first[:1], column[:1]]]
        embeddings.requires_grad_()
        tuples: Tuples | None = batch.triplets
        try:
            if miner is not None and config.miner is not None:
                tuples = miner(embeddings.detach(), individuals)
                if problem := problem_of_tuples(tuples, len(embeddings)):
                    raise PluginError(f"{called(MINERS.get(config.miner.component))} gives {problem}")
            value = loss(embeddings, individuals, tuples)
            if problem := problem_of_value(value):
                raise PluginError(f"{called(LOSSES.get(config.loss.component))} gives {problem}")
            loss_value(value).backward()
        except PluginError:
            raise
        except Exception as error:  # any component, also a plugin's, may raise anything
            parts = [f"loss {config.loss.component!r}", f"sampler {config.sampler.component!r}"]
            if config.miner is not None:
                parts.insert(1, f"miner {config.miner.component!r}")
            at_fault = culprit(error)
            why = told(error) if at_fault is None else fault(error, at_fault)
            equal = ", two of them with equal embeddings" if copies else ""
            raise UserError(
                f"{', '.join(parts)} do not work together on a batch of {len(batch.images)} photos{equal}: {why}"
            ) from error
