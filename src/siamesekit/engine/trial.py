"""What an image costs: seconds and bytes, measured by a short trial; and how batches are cut up for a given memory."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from torch import Tensor

from siamesekit.data.pixel_store import GIB
from siamesekit.engine.frozen_prefix import Stored, frozen_part
from siamesekit.engine.memory import machine_memory
from siamesekit.engine.precision import Precision
from siamesekit.engine.steps import CHUNK, Chunking
from siamesekit.errors import UserError
from siamesekit.figures import gibibytes
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


def frozen_seconds(encoder: Encoder, images: Tensor, precision: Precision) -> float:
    """Seconds that an image takes in the encoder's frozen part, which it has: of images uint8 `[n, 3, H, W]`.

    The second of two passes is taken, since the first one pays for setting up.
    """
    part = frozen_part(encoder, precision)
    images = images.contiguous(memory_format=torch.channels_last)
    part.outputs(images)
    start = time.perf_counter()
    outputs = part.outputs(images)
    if outputs[0].is_cuda:
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / len(images)


def chunking(
    cost: Cost, largest_batch: int, budget: int, whole: str | None, advice: str = "make batches smaller"
) -> Chunking:
    """How batches are cut up so that activations stay within a budget.

    Args:
        cost: of an image.
        largest_batch: in images.
        budget: in bytes.
        whole: why batches must be encoded whole (`siamesekit.engine.steps.why_whole`); None: they need not.
        advice: what to do where they must be and do not fit.

    Raises:
        UserError: batches must be encoded whole and do not fit.
    """
    held = budget // max(cost.bytes, 1)
    if held >= largest_batch:
        return Chunking()
    if whole is not None:
        wanted = gibibytes(largest_batch * cost.bytes)
        raise UserError(
            f"a batch of {largest_batch} photos takes about {wanted} of activations, and train.memory_gib allows "
            f"{gibibytes(budget)}; cutting batches up would not be exact, because {whole}: {advice}"
        )
    if held < 2:
        raise UserError(
            f"one photo takes about {gibibytes(cost.bytes)} of activations, and train.memory_gib allows "
            f"{gibibytes(budget)}: raise it, or lower data.size"
        )
    size = min(CHUNK, held // 2)
    return Chunking(size=size, held=held - size)  # one more chunk is encoded while the others are held


def memory_budget(gib: float, precision: Precision) -> int:
    """`gib` in bytes; for 0 half of the memory that the machine, or its container, has; or of the GPU's."""
    if gib > 0:
        return int(gib * GIB)
    if precision.device.type == "cuda":
        return torch.cuda.get_device_properties(precision.device).total_memory // 2
    return machine_memory() // 2
