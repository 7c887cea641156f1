"""What cannot be combined, found before training: by what components say of themselves, and by a trial."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from siamesekit.artifact import Architecture, build
from siamesekit.component_faults import called, fault, is_own, told
from siamesekit.config import Config
from siamesekit.culprits import culprit
from siamesekit.data.augmentations.augmentation import Augmentation, augment
from siamesekit.data.samplers.batch import Batch
from siamesekit.distances.accepted import refuse_what_is_none
from siamesekit.distances.distance import Distance, range_of
from siamesekit.engine.random_state import drawing_from
from siamesekit.errors import ComponentError, MissingWeightsError, PluginError, SiamesekitError, UserError
from siamesekit.losses.loss import Loss, loss_value, problem_of_value
from siamesekit.losses.measure import ranks_as_cosine
from siamesekit.miners.miner import Miner, problem_of_tuples
from siamesekit.preparation import memory_for
from siamesekit.registry import AUGMENTATIONS, DISTANCES, ENCODERS, LOSSES, MINERS, OPTIMIZERS, SCHEDULES
from siamesekit.schedules.schedule import Schedule
from siamesekit.triplets import Tuples, positives_of

TRIED_PHOTOS = 3
"""Photos that an augmentation is tried on."""
FROM_STREAMS = (
    "draw a number for each photo from streams, or take a single image and draw from the global generator of torch, "
    "Python or NumPy"
)
DIMENSIONS = 8
"""Of the embeddings for which a loss is built to be asked what it is."""
TRIED = 1000
"""Steps that a schedule is followed before training."""


def refuse_what_does_not_fit(config: Config) -> None:
    """Refuse what cannot be built, or what the loss cannot be combined with, by name; before any data is read.

    Raises:
        ComponentError: a component refuses its options, the distance has weights, the loss takes no tuples and there
            is a miner, or it fixes its measure and the run's distance ranks otherwise.
    """
    _try_augmentation(config)
    _try_descent(config)
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
            name, config.loss.options, distance=distance, embedding_dim=DIMENSIONS, num_classes=4, seed=config.seed
        )
    if config.miner is not None:
        with drawing_from(), _buildable("miner", config.miner.component):
            MINERS.build_for_run(config.miner.component, config.miner.options, distance=distance, seed=config.seed)
    option = getattr(loss, "assumes_unit_length", None)
    if option is not None and not config.encoder.head.normalize:
        raise ComponentError(
            f"loss {config.loss.component!r}: with distance {config.distance.component!r} and embeddings of any length "
            f"there is no default {option}: set loss.{option}, or encoder.head.normalize = true"
        )
    by_class = bool(getattr(loss, "by_class", False))
    if config.miner is not None and not getattr(loss, "takes_tuples", not by_class):
        compares = "compares embeddings with classes" if by_class else "is over the whole batch"
        raise ComponentError(f"loss {name!r} {compares} and takes no triplets or pairs of a miner: remove [miner] "
                             f"(name = {config.miner.component!r})")  # fmt: skip
    measure = getattr(loss, "measures_by", None)
    if measure == "cosine" and not ranks_as_cosine(distance, config.encoder.head.normalize):
        raise ComponentError(f"loss {name!r} measures by the cosine, and distance {config.distance.component!r} ranks "
                             'otherwise: set distance.name = "cosine"')  # fmt: skip


@contextmanager
def _buildable(kind: str, name: str) -> Iterator[None]:
    """What a component raises while it is built is its options' fault, memory that is not there included."""
    try:
        yield
    except (ArithmeticError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        raise ComponentError(f"{kind} {name!r} cannot be built with these options: "
                             f"{told(error)}") from error  # fmt: skip


def _try_encoder(config: Config) -> None:
    """Build the encoder without memory for its weights, and see that it has the block and takes the size.

    A network that cannot be built so has the last word itself, once the photos are read.
    """
    table = config.encoder
    architecture = Architecture(table.name, table.options, table.head.model_dump(), table.batchnorm)
    try:
        ENCODERS.factory(table.name)  # imported out here: not all that torch loads then can be loaded on meta
        with drawing_from(), torch.device("meta"):
            encoder = build(architecture)
    except MissingWeightsError:  # of a hub: a stand-in may take their place
        return
    except SiamesekitError:
        raise
    except Exception:  # what a network raises that takes no tensors without values is its own affair
        return
    encoder.backbone.freeze_before(table.train_from)
    encoder.backbone.scale(torch.empty(1, 3, config.data.size, config.data.size, device="meta"))


def margins_out_of_reach(config: Config, loss: Loss, distance: Distance) -> str | None:
    """A margin that no distance of the run's embeddings reaches, as a warning; None where there is none.

    Training goes on all the same, pushing pairs or triplets that are as good as they can be.
    """
    told = getattr(loss, "out_of_reach", None)
    between = range_of(distance, config.encoder.head.normalize)
    if told is None or between is None or (found := told(*between)) is None:
        return None
    kind = " of embeddings of length 1" if config.encoder.head.normalize else ""
    return (f"loss {config.loss.component!r}: {found}; distance {config.distance.component!r}{kind} is from "
            f"{between[0]:g} to {between[1]:g}")  # fmt: skip


def _try_augmentation(config: Config) -> None:
    """Make views of some drawn photos: once more they must be the same, and so must one photo's view by itself.

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
            raise PluginError(f"{named} gives other views of the same photos when it is called again, so a run could "
                              f"not be resumed: {FROM_STREAMS}")  # fmt: skip
        if not _alike(views[-1:], last):
            raise PluginError(f"{named} gives a photo another view when other photos are beside it: {FROM_STREAMS}")


def _alike(views: Tensor, others: Tensor) -> bool:
    """Whether views `[N, 3, S, S]` are the same but for rounding."""
    return bool((views.int() - others.int()).abs().double().mean() < 0.5)


def _try_descent(config: Config) -> None:
    """Move a parameter, and follow the schedule for a while, an epoch being a step."""
    for table in (config.optimizer, config.loss.optimizer):
        if table is None:
            continue
        parameter = nn.Parameter(torch.ones(2, 3))
        parameter.grad = torch.ones(2, 3)
        try:
            OPTIMIZERS.build(table.component, table.options, params=[parameter]).step()
        except SiamesekitError:
            raise
        except Exception as error:  # a plugin's raises anything
            component = OPTIMIZERS.get(table.component)
            if not is_own(component):
                raise PluginError(fault(error, component, "step")) from error
            raise ComponentError(f"optimizer {table.component!r} cannot make a step with these options: "
                                 f"{told(error)}") from error  # fmt: skip
    if config.schedule is not None:
        lr = config.optimizer.options.get("lr", 1.0)
        schedule: Schedule = SCHEDULES.build(config.schedule.component, config.schedule.options,
                                             steps=config.train.epochs, steps_per_epoch=1, lr=lr)  # fmt: skip
        for step in range(min(config.train.epochs, TRIED)):
            schedule(step)


def try_on_batches(
    config: Config, loss: Loss, miner: Miner | None, batches: Sequence[Batch], labels: Tensor, embedding_dim: int
) -> None:
    """Try loss and miner together on the largest of an epoch's batches, the smallest, and once more the largest.

    The last one has two photos of equal embeddings, as copies of a photo have. Copies of loss and miner go through all
    three, as they go through training.

    Args:
        config: the run's.
        loss: stays as it is.
        miner: stays as it is.
        batches: of the run's sampler.
        labels: int64 `[N]`, individuals of the training photos, numbered from 0.
        embedding_dim: of the run's embeddings.

    Raises:
        UserError: they cannot work together, in the words of whichever refuses.
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
    """Run loss and miner forward and backward on random embeddings of a real batch's individuals, as in training.

    Args:
        config: the run's.
        loss: not copied.
        miner: not copied.
        batch: of the run's sampler.
        labels: int64 `[N]`, individuals of the training photos, numbered from 0.
        embedding_dim: of the run's embeddings.
        copies: whether two photos of an individual have equal embeddings.

    Raises:
        UserError: they cannot work together, in the words of whichever refuses.
    """
    for part in (loss, miner):
        if isinstance(part, nn.Module):
            part.cpu()
    with drawing_from(0):
        individuals = labels[batch.images]
        embeddings = torch.randn(len(batch.images), embedding_dim)
        embeddings = embeddings / embeddings.norm(dim=1, keepdim=True)
        if copies:
            photo, there = positives_of(individuals)
            first, column = there.nonzero(as_tuple=True)
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
        except Exception as error:  # of any component, a plugin's too: whatever it raises, it cannot be run
            parts = [f"loss {config.loss.component!r}", f"sampler {config.sampler.component!r}"]
            if config.miner is not None:
                parts.insert(1, f"miner {config.miner.component!r}")
            at_fault = culprit(error)
            why = told(error) if at_fault is None else fault(error, at_fault)
            equal = ", two of them with equal embeddings" if copies else ""
            raise UserError(f"{', '.join(parts)} do not work together on a batch of {len(batch.images)} photos{equal}: "
                            f"{why}") from error  # fmt: skip
