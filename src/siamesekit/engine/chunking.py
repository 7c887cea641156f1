"""How batches are split into chunks so that their activations fit into memory, and when that is exact."""

from __future__ import annotations

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from siamesekit.components.encoders.head import BatchNormNeck
from siamesekit.data.pixel_store import GIB
from siamesekit.engine.chunked_encoding import TRAINED_CHUNK, Chunking
from siamesekit.engine.cost import Cost
from siamesekit.engine.frozen.cutting import why_not_alone
from siamesekit.engine.frozen.stored import Stored
from siamesekit.engine.random_state import drawn_by
from siamesekit.errors import UserError, out_of_memory
from siamesekit.hardware.compute import Compute
from siamesekit.hardware.memory import machine_memory
from siamesekit.model import Encoder
from siamesekit.wording import gibibytes


def why_whole(encoder: Encoder, stored: Stored | None = None, compute: Compute | None = None) -> str | None:
    """Why batches must be encoded whole: what makes an embedding depend on more than its image.

    The encoder's modules are checked. With `stored` and `compute`, two further checks follow: whether the network
    runs different code in training, and whether embedding two photos draws random numbers.

    Returns:
        The reason in words; None if each embedding depends on its own image alone.
    """
    was_training = encoder.training
    encoder.train()
    try:
        for name, module in encoder.named_modules():
            if isinstance(module, BatchNormNeck):  # `Stepper` applies it to the whole batch
                continue
            if (reason := why_not_alone(module)) is not None:
                kind = "BatchNorm" if isinstance(module, _BatchNorm) else type(module).__name__
                return f"{kind} {name} {reason}"
        if stored is None or compute is None:
            return None
        if stored.by_mode:
            return "the network runs different code in training, as with a functional dropout"
        if _draws(stored, compute):
            return "the network draws random numbers in training"
    finally:
        encoder.train(was_training)
    return None


@torch.no_grad()
def _draws(stored: Stored, compute: Compute) -> bool:
    """Whether embedding two images draws random numbers, in the encoder's current mode."""
    try:
        return drawn_by(lambda: stored.embeddings(torch.arange(min(2, stored.images)), compute))[1]
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        return False  # the training step reports it


def chunking(
    cost: Cost,
    largest_batch: int,
    budget: int,
    whole: str | None,
    advice: str = "make batches smaller",
    of_one_photo: str = "raise it, or lower data.size",
) -> Chunking:
    """Split batches into chunks so that activations stay within a budget.

    Args:
        cost: cost of one image.
        largest_batch: images in the largest batch.
        budget: most bytes of activations.
        whole: why batches must be encoded whole (`siamesekit.engine.chunking.why_whole`); None if they need not.
        advice: what to do if a batch must be encoded whole and does not fit.
        of_one_photo: what to do if not even one photo fits.

    Raises:
        UserError: a batch must be encoded whole and does not fit, or not even one photo fits.
    """
    held = budget // max(cost.bytes, 1)
    if held >= largest_batch:
        return Chunking()
    if whole is not None:
        wanted = gibibytes(largest_batch * cost.bytes)
        raise UserError(
            f"a batch of {largest_batch} photos takes about {wanted} of activations, and train.memory_gib allows "
            f"{gibibytes(budget)}; splitting it into chunks would not be exact, because {whole}: {advice}"
        )
    if held < 2:
        raise UserError(
            f"one photo takes about {gibibytes(cost.bytes)} of activations, and train.memory_gib allows "
            f"{gibibytes(budget)}: {of_one_photo}"
        )
    size = min(TRAINED_CHUNK, held // 2)
    return Chunking(size=size, held=held - size)  # one more chunk is encoded while the others are held


def memory_budget(gib: float, compute: Compute) -> int:
    """`gib` in bytes; for 0, half the memory of the GPU, or of the machine or its container."""
    if gib > 0:
        return int(gib * GIB)
    if compute.device.type == "cuda":
        return torch.cuda.get_device_properties(compute.device).total_memory // 2
    return machine_memory() // 2
