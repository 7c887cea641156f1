"""What an image costs: seconds and bytes, measured by a short trial; and how batches are cut up for a given memory."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

import torch
from torch import Tensor

from siamesekit.data.pixel_store import GIB
from siamesekit.engine.frozen_prefix import Stored
from siamesekit.engine.precision import Precision
from siamesekit.engine.steps import CHUNK, Chunking, why_whole
from siamesekit.errors import UserError
from siamesekit.model import Encoder

IMAGES = 32
IN_FLIGHT = 1.5
"""Gradients on their way back take about half as much again as what was saved for them."""


class Cost(NamedTuple):
    """Of one image in training.

    Attributes:
        seconds: forward and backward.
        bytes: of activations held between the two, gradients in flight included.
    """

    seconds: float
    bytes: int


def trial(encoder: Encoder, stored: Stored, precision: Precision) -> Cost:
    """Encode a few images forward and backward; leaves weights, statistics and gradients as they were."""
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    buffers = {name: value.clone() for name, value in encoder.named_buffers()}
    encoder.train()
    images = torch.arange(min(IMAGES, stored.images))
    seconds = float("inf")
    with torch.random.fork_rng(devices=[precision.device] if precision.device.type == "cuda" else []):
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
    with torch.no_grad():
        for name, value in encoder.named_buffers():
            value.copy_(buffers[name])
    kept = {parameter.untyped_storage().data_ptr() for parameter in encoder.parameters()}
    activations = sum(size for pointer, size in saved.items() if pointer not in kept)
    return Cost(seconds / len(images), int(IN_FLIGHT * activations / len(images)))


def chunking(encoder: Encoder, cost: Cost, largest_batch: int, budget: int) -> Chunking:
    """How batches are cut up so that activations stay within `budget` bytes.

    Raises:
        UserError: batches must be encoded whole and do not fit.
    """
    held = budget // max(cost.bytes, 1)
    if held >= largest_batch:
        return Chunking()
    reason = why_whole(encoder)
    if reason is not None:
        raise UserError(
            f"a batch of {largest_batch} photos takes about {largest_batch * cost.bytes / GIB:.1f} GiB of activations, "
            f"train.memory_gib allows {budget / GIB:.1f}; cutting batches up would not be exact, because {reason}: "
            'lower sampler.batch_size, raise train.memory_gib, or set encoder.batchnorm = "inference"'
        )
    if held < 2:
        raise UserError(
            f"one photo takes about {cost.bytes / GIB:.2f} GiB of activations, train.memory_gib allows "
            f"{budget / GIB:.2f}: raise it, or lower data.size"
        )
    size = min(CHUNK, held // 2)
    return Chunking(size=size, held=held - size)  # one more chunk is encoded while the others are held


def memory_budget(gib: float, precision: Precision) -> int:
    """`gib` in bytes; for 0 half of the machine's memory, or of the GPU's."""
    if gib > 0:
        return int(gib * GIB)
    if precision.device.type == "cuda":
        return torch.cuda.get_device_properties(precision.device).total_memory // 2
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
