"""What cannot be combined, found before training: by what components say of themselves, and by a trial."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from siamesekit.config import Config
from siamesekit.data.augmentations.augmentation import Augmentation, augment
from siamesekit.data.samplers.batch import Batch
from siamesekit.distances.distance import Distance
from siamesekit.engine.random_state import drawing_from
from siamesekit.errors import ComponentError, UserError
from siamesekit.losses.loss import Loss
from siamesekit.miners.miner import Miner
from siamesekit.registry import AUGMENTATIONS, DISTANCES, LOSSES, MINERS, OPTIMIZERS, SCHEDULES
from siamesekit.schedules.schedule import Schedule
from siamesekit.triplets import Tuples

POINTS, DIMENSIONS = 32, 8
"""On how many random embeddings, and of how many dimensions, a distance's ranks are compared with the cosine's."""

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
    name = config.loss.component
    distance: Distance = DISTANCES.build(config.distance.component, config.distance.options)
    if isinstance(distance, nn.Module) and (held := [*distance.state_dict()]):
        raise ComponentError(
            f"distance {config.distance.component!r} holds tensors of its own ({', '.join(held[:3])}), which a run "
            "neither trains nor saves: make them options, or put them into the encoder"
        )
    with drawing_from():
        loss: Loss = LOSSES.build(name, config.loss.options, distance=distance, embedding_dim=DIMENSIONS, num_classes=4,
                                  seed=config.seed)  # fmt: skip
        if config.miner is not None:
            MINERS.build(config.miner.component, config.miner.options, distance=distance, seed=config.seed)
    by_class = bool(getattr(loss, "by_class", False))
    if config.miner is not None and not getattr(loss, "takes_tuples", not by_class):
        compares = "compares embeddings with classes" if by_class else "is over the whole batch"
        raise ComponentError(f"loss {name!r} {compares} and takes no triplets or pairs of a miner: remove [miner] "
                             f"(name = {config.miner.component!r})")  # fmt: skip
    measure = getattr(loss, "measures_by", None)
    if measure == "cosine" and not ranks_as_cosine(distance, config.encoder.head.normalize):
        raise ComponentError(f"loss {name!r} measures by the cosine, and distance {config.distance.component!r} ranks "
                             'otherwise: set distance.name = "cosine"')  # fmt: skip


def _try_augmentation(config: Config) -> None:
    """Make views of some pixels."""
    if config.augmentation is None:
        return
    table = config.augmentation
    augmentation: Augmentation = AUGMENTATIONS.build(table.component, table.options)
    images = torch.zeros(2, 3, config.data.size, config.data.size, dtype=torch.uint8)
    augment(augmentation, images, torch.arange(2), 1, 0, config.seed)


def _try_descent(config: Config) -> None:
    """Move a parameter, and follow the schedule for a while, an epoch being a step."""
    for table in (config.optimizer, config.loss.optimizer):
        if table is None:
            continue
        parameter = nn.Parameter(torch.ones(2, 3))
        parameter.grad = torch.ones(2, 3)
        try:
            OPTIMIZERS.build(table.component, table.options, params=[parameter]).step()
        except (ArithmeticError, RuntimeError, TypeError) as error:
            raise ComponentError(f"optimizer {table.component!r} cannot make a step with these options: "
                                 f"{type(error).__name__}: {error}") from error  # fmt: skip
    if config.schedule is not None:
        lr = config.optimizer.options.get("lr", 1.0)
        schedule: Schedule = SCHEDULES.build(config.schedule.component, config.schedule.options,
                                             steps=config.train.epochs, steps_per_epoch=1, lr=lr)  # fmt: skip
        for step in range(min(config.train.epochs, TRIED)):
            schedule(step)


def ranks_as_cosine(distance: Distance, unit_length: bool) -> bool:
    """Whether a distance ranks random embeddings, of length 1 or not, as the cosine does.

    Args:
        distance: any.
        unit_length: whether the run's embeddings have length 1.
    """
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(POINTS, DIMENSIONS, generator=generator, dtype=torch.float64)
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    shown = unit if unit_length else embeddings
    anchor, others = shown[:1], shown[1:]
    cosines = (unit[:1] * unit[1:]).sum(1)
    return torch.equal(distance(anchor, others).argsort(), (-cosines).argsort())


def try_on_a_batch(
    config: Config, loss: Loss, miner: Miner | None, batch: Batch, labels: Tensor, embedding_dim: int
) -> None:
    """Run loss and miner, copies of them, forward and backward on random embeddings of a real batch's individuals.

    Args:
        config: the run's.
        loss: stays as it is.
        miner: stays as it is.
        batch: of the run's sampler.
        labels: int64 `[N]`, individuals of the training photos, numbered from 0.
        embedding_dim: of the run's embeddings.

    Raises:
        UserError: they cannot work together, in the words of whichever refuses.
    """
    loss, miner = copy.deepcopy(loss), copy.deepcopy(miner)
    for part in (loss, miner):
        if isinstance(part, nn.Module):
            part.cpu()
    with drawing_from(0):
        embeddings = torch.randn(len(batch.images), embedding_dim)
        embeddings = (embeddings / embeddings.norm(dim=1, keepdim=True)).requires_grad_()
        individuals = labels[batch.images]
        tuples: Tuples | None = batch.triplets
        try:
            if miner is not None:
                tuples = miner(embeddings.detach(), individuals)
            loss(embeddings, individuals, tuples).objective.backward()
        except Exception as error:  # of any component, a plugin's too: whatever it raises, it cannot be run
            parts = [f"loss {config.loss.component!r}", f"sampler {config.sampler.component!r}"]
            if config.miner is not None:
                parts.insert(1, f"miner {config.miner.component!r}")
            raise UserError(f"{', '.join(parts)} do not work together on a batch of {len(batch.images)} photos: "
                            f"{type(error).__name__}: {error}") from error  # fmt: skip
