"""The plan of a run: what it will do, and what it will cost, measured by a short trial."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from siamesekit.config import Config, EncoderTable
from siamesekit.data.samplers.batch import Sampler
from siamesekit.engine.frozen_prefix import Stored, store
from siamesekit.engine.precision import Precision
from siamesekit.preparation import Built, Data
from siamesekit.registry import SAMPLERS

TRIAL_IMAGES = 32
BASE_BYTES = 600_000_000
"""What Python and torch hold before any photo is read."""


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        individuals: number in each part.
        photos: number in each part.
        triplets: trained on in an epoch.
        batches: steps in an epoch.
        steps: in the whole run.
        parameters: of the encoder.
        trainable: of those, the ones that train.
        weights: what the run will start from; nothing has been fetched.
        stand_ins: a line for each in use.
        frozen_part: whether its output is cached, and why.
        cache_bytes: size of what is kept of all photos.
        memory_bytes: estimate of the peak, for the whole process.
        seconds: estimate for the whole run.
        device: where and in which number format.
    """

    individuals: dict[str, int]
    photos: dict[str, int]
    triplets: int
    batches: int
    steps: int
    parameters: int
    trainable: int
    weights: str
    stand_ins: tuple[str, ...]
    frozen_part: str
    cache_bytes: int
    memory_bytes: int
    seconds: float
    device: str


def plan(config: Config, data: Data, built: Built, precision: Precision) -> Plan:
    """Count the work, and estimate time and memory from one forward and backward pass of a few images."""
    labels = data.labels[list(data.split.train)]
    sampler: Sampler = SAMPLERS.build(
        config.sampler.component,
        config.sampler.options,
        labels=labels,
        batch_size=config.sampler.batch_size,
        seed=config.seed,
    )
    batches = list(sampler.epoch(1))
    encoder = built.encoder
    trainable = sum(parameter.numel() for parameter in encoder.trainable())
    few = data.images[:TRIAL_IMAGES]
    start = time.perf_counter()
    stored = store(encoder, few, precision)
    storing = (time.perf_counter() - start) / len(few) * len(data.images) if stored.cached else 0.0
    step_seconds, step_bytes = _trial(built, stored, precision)
    distinct = [len(batch.images) for batch in batches]
    cache = stored.bytes // len(few) * len(data.images)
    return Plan(
        individuals={name: len(np.unique(data.labels[list(p)])) for name, p in data.split.parts().items()},
        photos={name: len(part) for name, part in data.split.parts().items()},
        triplets=sum(len(batch.triplets.anchor) for batch in batches),
        batches=len(batches),
        steps=len(batches) * config.train.epochs,
        parameters=sum(parameter.numel() for parameter in encoder.parameters()),
        trainable=trainable,
        weights=_weights(config.encoder),
        stand_ins=tuple(each.used for each in (data.stand_in, built.stand_in) if each is not None),
        frozen_part=stored.why,
        cache_bytes=cache,
        memory_bytes=BASE_BYTES + data.images.numel() + cache + max(distinct) * step_bytes + 16 * trainable,
        seconds=storing + config.train.epochs * (sum(distinct) + len(data.split.test) / 3) * step_seconds,
        device=f"{precision.device.type}, {precision.name}",
    )


def _weights(encoder: EncoderTable) -> str:
    if encoder.stand_in is None:
        return str(encoder.weights)
    return f"{encoder.weights}; where they cannot be had, {encoder.stand_in.weights}"


def _trial(built: Built, stored: Stored, precision: Precision) -> tuple[float, int]:
    """Seconds and bytes of activations for an image, forward and backward; the weights' gradients are dropped."""
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    encoder = built.encoder
    encoder.train()
    images = torch.arange(len(stored.tensors[0]))
    seconds = float("inf")
    for _ in range(2):  # the first pass pays for setting up
        start = time.perf_counter()
        saved.clear()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            embeddings = stored.embeddings(images, precision)
        embeddings.square().sum().backward()
        if precision.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = min(seconds, time.perf_counter() - start)
    encoder.zero_grad(set_to_none=True)
    encoder.eval()
    weights = {parameter.untyped_storage().data_ptr() for parameter in encoder.parameters()}
    activations = sum(size for pointer, size in saved.items() if pointer not in weights)
    return seconds / len(images), int(1.5 * activations / len(images))  # half as much again for gradients in flight
