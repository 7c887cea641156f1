"""A run computed by several processes: what the leader hands over, and what a process that follows makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor

from siamesekit._version import __version__
from siamesekit.components.augmentations.augmentation import Augmentation, augment
from siamesekit.components.encoders.lora import add_lora
from siamesekit.config import Config
from siamesekit.engine.frozen.stored import Views
from siamesekit.engine.ranks.following import follow
from siamesekit.engine.ranks.sharded_share import share_of
from siamesekit.engine.ranks.shared_tensors import deal_out, get_dealt
from siamesekit.errors import UserError
from siamesekit.experiment.setup import Setup
from siamesekit.experiment.shared_centers import centers_to_follow
from siamesekit.hardware.compute import Compute, DeviceChoice, PrecisionChoice, choose_compute
from siamesekit.hardware.postponed_compiler import compiler_postponed
from siamesekit.hardware.ranks import Ranks
from siamesekit.model import Architecture, Encoder, build
from siamesekit.registry import AUGMENTATIONS


@contextmanager
def connected(ranks: Ranks | None, compute: Compute) -> Iterator[Compute]:
    """Connect to the other processes of a run, and end their work afterwards.

    Args:
        ranks: the connection; None if this process computes alone.
        compute: device and number format.

    Yields:
        The device and number format, with the connection.
    """
    if ranks is None:
        yield compute
        return
    gpu = compute.device.type == "cuda"
    if gpu and ranks.place.local_rank >= torch.cuda.device_count():
        raise UserError(
            f"local rank {ranks.place.local_rank} has no GPU of its own: this machine has {torch.cuda.device_count()}; "
            "start as many processes as it has GPUs, or compute on the CPU with --device cpu"
        )
    try:
        ranks.connect(gpu)
        yield replace(compute, ranks=ranks)
    finally:
        if ranks.leads:
            ranks.end()
        ranks.close()


def hand_over(setup: Setup, images: Tensor, views: Views | None) -> None:
    """Hand the photos and the encoder's architecture to the processes that follow; their weights come with the team.

    Args:
        setup: setup of the run.
        images: all images, uint8 `[N, 3, S, S]`.
        views: views of the training photos.
    """
    ranks = setup.compute.ranks
    if ranks is None:
        return
    job = {
        "version": __version__,
        "config": _digest(setup.config),
        "architecture": asdict(setup.prepared.architecture),
        "bf16": setup.compute.bf16,
        "products": setup.compute.products,
    }
    ranks.order("begin", job, photos=torch.empty(0) if views is None else views.photos)
    deal_out(ranks, images)
    ranks.order("begun")
    ranks.reports()


def follow_run(config: Config, ranks: Ranks, device: DeviceChoice, precision: PrecisionChoice) -> None:
    """Follow the process that leads a run, until it ends.

    Args:
        config: the same config as the leader's.
        ranks: the connection to the leader.
        device: device on which to compute.
        precision: number format of the encoder; that of the leader must be the same.

    Raises:
        LostRankError: the leader, or the connection to it, is lost.
        UserError: the config or the version is not the leader's.
    """
    told = ranks.telling_failure  # within the connection too, since the end of it would be noticed first
    with compiler_postponed(), told(), connected(ranks, choose_compute(device, precision)) as compute, told():
        kind, job, numbers = ranks.next_order()
        if kind == "end":
            return
        _refuse_other_job(config, compute, job)
        compute = replace(compute, products=job["products"], ranks=None)
        images = get_dealt(ranks)
        views = views_by(config, numbers["photos"])
        share = share_of(_encoder(config, job, compute), images, views, compute, ranks)
        centers = centers_to_follow(config, ranks, compute.device)
        ranks.next_order()
        ranks.report()
        with compute.exact():
            follow(share, centers)


def _refuse_other_job(config: Config, compute: Compute, job: dict[str, Any]) -> None:
    """Refuse a job of another version, config or number format.

    Raises:
        UserError: it is another one.
    """
    for what, here, there in (
        ("version of siamesekit", __version__, job["version"]),
        ("config", _digest(config), job["config"]),
        ("number format (--precision)", "bf16" if compute.bf16 else "fp32", "bf16" if job["bf16"] else "fp32"),
    ):
        if here != there:
            raise UserError(f"the {what} of this process is {here}, that of rank 0 {there}: they must be the same")


def _encoder(config: Config, job: dict[str, Any], compute: Compute) -> Encoder:
    """The leader's encoder, whose weights are still to come."""
    encoder = build(Architecture(**job["architecture"]))
    if not config.train.shard_encoder:
        encoder.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    encoder.backbone.freeze_before(config.encoder.train_from)
    if config.encoder.lora is not None:
        add_lora(encoder.backbone, **config.encoder.lora.model_dump())
    encoder.checkpoint_activations, encoder.sharded = config.train.checkpoint_activations, config.train.shard_encoder
    return encoder.eval()


def views_by(config: Config, photos: Tensor) -> Views | None:
    """Views of photos, int64 `[n]`, by the config's augmentation; None without augmentation."""
    table, seed = config.augmentation, config.seed
    if table is None:
        return None
    augmentation: Augmentation = AUGMENTATIONS.build(table.component, table.options)

    def make(images: Tensor, photos: Tensor, epoch: int, view: int) -> Tensor:
        return augment(augmentation, images, photos, epoch, view, seed)

    return Views(photos, table.views, make)


def _digest(config: Config) -> str:
    """The first part of the SHA-256 of a config; paths below its folder do not count."""
    return sha256(config.to_toml(config.source.parent).encode(errors="surrogateescape")).hexdigest()[:16]
