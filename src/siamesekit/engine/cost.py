"""The cost of an image in training: seconds and bytes, measured on a few images."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from torch import Tensor

from siamesekit.engine.frozen.prefix import frozen_part
from siamesekit.engine.frozen.stored import Stored
from siamesekit.hardware.compute import Compute
from siamesekit.model import Encoder

IMAGES = 32
IN_FLIGHT = 1.5
"""Peak memory of a backward pass over saved activations: gradients in flight add about half."""


class Cost(NamedTuple):
    """The cost of one image in training.

    Attributes:
        seconds: seconds of the forward and the backward pass.
        bytes: bytes of activations held between the two passes, gradients in flight included.
    """

    seconds: float
    bytes: int


def measure_cost(encoder: Encoder, stored: Stored, compute: Compute) -> Cost:
    """Measure the cost by a forward and backward pass of a few images; weights and statistics stay unchanged."""
    buffers = {name: value.clone() for name, value in encoder.named_buffers()}
    encoder.train()
    images = torch.arange(min(IMAGES, stored.images))
    seconds = float("inf")
    with torch.random.fork_rng(devices=[compute.device] if compute.device.type == "cuda" else []):
        activations = _held(encoder, stored, images, compute)  # this pass includes setup
        for _ in range(1 if stored.segments is None else 2):
            start = time.perf_counter()
            stored.embeddings(images, compute).square().sum().backward()
            if compute.device.type == "cuda":
                torch.cuda.synchronize()
            seconds = min(seconds, time.perf_counter() - start)
    encoder.zero_grad(set_to_none=True)
    encoder.eval()
    with torch.no_grad():
        for name, value in encoder.named_buffers():
            value.copy_(buffers[name])
    return Cost(seconds / len(images), int(IN_FLIGHT * activations / len(images)))


def _held(encoder: Encoder, stored: Stored, images: Tensor, compute: Compute) -> int:
    """Most bytes of activations held for the backward pass of the images with indices `[n]`.

    If blocks are computed again, these are their inputs, and the activations of the block that holds most.
    """
    parameters = {parameter.untyped_storage().data_ptr() for parameter in encoder.parameters()}
    segments = stored.segments
    saved: dict[int, dict[int, int]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            saved.setdefault(0 if segments is None else segments.running, {})[storage.data_ptr()] = storage.nbytes()
        return tensor

    if segments is not None:
        segments.recomputes = False
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        embeddings = stored.embeddings(images, compute)
    embeddings.square().sum().backward()
    inputs: dict[int, int] = {}
    if segments is not None:
        segments.recomputes = True
        inputs = {pointer: size for pointer, size in segments.inputs.items() if pointer not in parameters}
    inside = [sum(size for pointer, size in each.items() if pointer not in inputs) for each in saved.values()]
    return sum(inputs.values()) + max(inside, default=0)


def frozen_seconds(encoder: Encoder, images: Tensor, compute: Compute) -> float:
    """Seconds per image in the encoder's frozen part, measured on images uint8 `[n, 3, H, W]`.

    The second of two passes is timed, since the first includes setup. The encoder must have a frozen part.
    """
    part = frozen_part(encoder, compute)
    images = images.contiguous(memory_format=torch.channels_last)
    part.outputs(images)
    start = time.perf_counter()
    outputs = part.outputs(images)
    if outputs[0].is_cuda:
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / len(images)
