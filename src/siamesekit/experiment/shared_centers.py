"""Centres of the loss that the processes of a run share: when they do, how both sides begin, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from siamesekit.components.losses.loss import Loss
from siamesekit.components.losses.margin_softmax import MarginSoftmaxLoss
from siamesekit.config import Config
from siamesekit.engine.optimizers_by_rows import moves_by_rows
from siamesekit.engine.random_state import drawing_from
from siamesekit.engine.ranks.following_centers import FollowingCenters
from siamesekit.engine.ranks.leading_centers import DealtLoss, LeadingCenters
from siamesekit.errors import ComponentError
from siamesekit.hardware.compute import Compute
from siamesekit.hardware.ranks import Ranks
from siamesekit.registry import DISTANCES, LOSSES, OPTIMIZERS

OPTION = "train.shard_centers"


def shares_centers(config: Config, compute: Compute) -> bool:
    """Whether the processes of a run share the centres of its loss."""
    return config.train.shard_centers and compute.ranks is not None and compute.ranks.size > 1


def refuse_undivided(config: Config, loss: Loss) -> None:
    """Refuse a loss whose centres cannot be divided, and an optimizer that does not move each centre by itself.

    Args:
        config: config of the run.
        loss: its loss, for any number of individuals.

    Raises:
        ComponentError: `train.shard_centers` is set, but they cannot be divided.
    """
    if not config.train.shard_centers:
        return
    if not _divides(loss):
        raise ComponentError(
            f"{OPTION}: loss {config.loss.component!r} cannot be divided among processes, only 'arcface', 'cosface' "
            "and losses like them can: remove this option"
        )
    if not moves_by_rows(lambda params: optimizer_of_loss(config, params)):
        name = (config.loss.optimizer or config.optimizer).component
        raise ComponentError(
            f"{OPTION}: optimizer {name!r} does not move each centre by itself, so the centres cannot be divided among "
            "processes: set loss.optimizer to one that does, such as 'adam' or 'sgd', or remove this option"
        )


def optimizer_of_loss(config: Config, params: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer of parameters of the loss."""
    table = config.loss.optimizer or config.optimizer
    optimizer: torch.optim.Optimizer = OPTIMIZERS.build(table.component, table.options, params=list(params))
    return optimizer


def deal_centers(config: Config, loss: Loss, compute: Compute) -> DealtLoss | None:
    """The loss with its centres divided among the processes; None if this process holds all.

    Args:
        config: config of the run.
        loss: the loss with all centres; it loses those of other processes.
        compute: device and number format, with the connection to the other processes, which follow.
    """
    if not shares_centers(config, compute):
        return None
    assert compute.ranks is not None and isinstance(loss, MarginSoftmaxLoss)
    return DealtLoss(LeadingCenters(compute.ranks, loss, compute.device, config.train.average))


def centers_to_follow(config: Config, ranks: Ranks, device: torch.device) -> FollowingCenters | None:
    """The centres of a process that follows; None if the leader holds all."""
    if not config.train.shard_centers:
        return None

    def make_loss(embedding_dim: int) -> MarginSoftmaxLoss:
        table = config.distance
        given: dict[str, Any] = {"embedding_dim": embedding_dim, "num_classes": 1, "class_counts": [1]}
        with drawing_from():
            loss: MarginSoftmaxLoss = LOSSES.build_for_run(
                config.loss.component,
                config.loss.options,
                distance=DISTANCES.build(table.component, table.options),
                seed=config.seed,
                **given,
            )
        return loss

    return FollowingCenters(ranks, device, make_loss, lambda params: optimizer_of_loss(config, params))


def _divides(loss: Loss) -> bool:
    """Whether a loss is a margin softmax and nothing more, also if a plugin derives from it."""
    return (
        isinstance(loss, MarginSoftmaxLoss)
        and type(loss).forward is MarginSoftmaxLoss.forward
        and type(loss).terms is MarginSoftmaxLoss.terms
        and [*loss.state_dict()] == ["centers"]
    )
