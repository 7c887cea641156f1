"""A training step: the loss of a batch and its exact gradient, with the least work.

If each embedding depends on its own image alone, the loss needs all embeddings of a batch at once, but the encoder does
not need the whole batch. Its gradient is a sum over images: the image's own backward pass, weighted by the gradient of
the loss with respect to the image's embedding. Therefore:

- images go through the encoder in chunks that fit into caches and memory;
- an image whose embedding gets no gradient (all its triplets are inactive) needs no backward pass;
- activations are held for the backward pass only as far as memory allows. The other images, and those expected to get
  no gradient, are encoded again once their gradient is known (gradient caching: Gao et al. 2021, arXiv:2101.06983).

The neck of a head, which normalizes by the batch's statistics, is applied to the outputs of the whole batch, as a part
of the loss: chunks end before it.

All of this is exact (`tests/engine/test_steps.py`). If an embedding depends on the batch (BatchNorm that trains) or on
chance (dropout), the batch is encoded whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from siamesekit.components.encoders.head import Head
from siamesekit.components.losses.loss import LossValue
from siamesekit.engine.chunking import Chunking, why_whole
from siamesekit.engine.faults import failing_as
from siamesekit.engine.frozen.prefix import Stored
from siamesekit.errors import RunError, out_of_memory
from siamesekit.hardware.compute import Compute
from siamesekit.model import Encoder

Held = list[tuple[Tensor, Tensor]]
"""Chunks of a batch: indices int64 `[m]`, and embeddings `[m, D]` with their graph for the backward pass."""
Result = TypeVar("Result")
PASSES = 3
"""Cost of encoding again with a backward pass, in forward passes: a backward pass costs about two."""


class Stepper:
    """Computes losses and gradients of batches of stored images.

    Args:
        encoder: the network that trains; gradients are added to its parameters' `grad`.
        stored: the images, or the frozen part's output for them.
        compute: device and number format.
        chunking: how batches are split into chunks.
        say: receives a message if memory runs out and chunks become smaller.

    Attributes:
        whole: why batches are encoded whole; None if they are split into chunks.
        expected: bool `[N]` for the N stored images: whether the image got a gradient when it was last in a batch. It
            affects only the amount of work and the rounding.
    """

    def __init__(
        self,
        encoder: Encoder,
        stored: Stored,
        compute: Compute,
        chunking: Chunking | None = None,
        say: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.encoder = encoder
        self.stored = stored
        self.compute = compute
        self.chunking = chunking or Chunking()
        self.whole = why_whole(encoder, stored, compute)
        self.say = say
        self.expected = torch.ones(stored.images, dtype=torch.bool)

    def __call__(self, images: Tensor, loss: Callable[..., LossValue], epoch: int = 0) -> tuple[LossValue, Tensor]:
        """Compute the loss of a batch, add its gradient to the parameters, and return loss and embeddings `[n, D]`.

        The embeddings are detached. No gradient is added if the loss is not finite or depends on no trained parameter.

        Args:
            images: int64 `[n]`, distinct indices of stored images.
            loss: the loss as a function of the embeddings `[n, D]` and, if the head has a neck, of those before it,
                `[n, D]`.
            epoch: the epoch whose views of the images are used; 0 for the images as they are.
        """

        def encode(chosen: Tensor) -> Tensor:
            return self.stored.embeddings(images[chosen], self.compute, epoch)

        if self.whole is not None:
            try:
                with failing_as("encoder"):
                    before = self.stored.embeddings(images, self.compute, epoch)
                value, embeddings = self._loss(loss, before)
                with failing_as("loss"):
                    if _has_gradient(value):
                        value.objective.backward()
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                raise RunError(
                    f"out of memory with a batch of {len(images)} photos, which cannot be split into chunks, because "
                    f'{self.whole}: make batches smaller, or set encoder.batchnorm = "inference" and '
                    "encoder.head.dropout = 0.0"
                ) from error
            return value, embeddings
        with failing_as("encoder"):
            before, held = self._with_less(lambda: self._encode(images, encode))
        value, embeddings = self._loss(loss, before)
        with failing_as("loss"):
            if moves := _has_gradient(value):
                value.objective.backward()
        if moves:
            gradient = before.grad if before.grad is not None else torch.zeros_like(before)
            with failing_as("encoder"):
                self._backward(images, encode, gradient, held)
        return value, embeddings

    def _loss(self, loss: Callable[..., LossValue], before: Tensor) -> tuple[LossValue, Tensor]:
        """The loss of a whole batch from its embeddings before the neck `[n, D]`, and the detached embeddings."""
        head = self.encoder.head
        if not isinstance(head, Head) or not head.has_neck:
            return loss(before), before.detach()
        with failing_as("encoder"):
            embeddings = self.encoder.after_neck(before)
        return loss(embeddings, head.scaled(before)), embeddings.detach()

    def _with_less(self, work: Callable[[], Result]) -> Result:
        """Run `work`; whenever it runs out of memory, run it again with chunks of half the size."""
        while True:
            try:
                return work()
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                if self.chunking.size <= 1:
                    raise RunError(
                        "out of memory with a single photo: lower data.size, take a smaller encoder, or train fewer of "
                        "its layers (encoder.train_from)"
                    ) from error
            # Outside the handler: the traceback of an error that is being handled keeps the tensors of `work` alive.
            size = self.chunking.size // 2
            self.say(f"out of memory with chunks of {self.chunking.size} photos; continuing with {size}")
            self.chunking = Chunking(size, min(self.chunking.held, size))
            if self.compute.device.type == "cuda":
                torch.cuda.empty_cache()

    def _encode(self, images: Tensor, encode: Callable[[Tensor], Tensor]) -> tuple[Tensor, Held]:
        """The embeddings `[n, D]` of a batch before the neck, as a leaf of the graph, and the chunks that are held for
        the backward pass.
        """
        expected = self.expected[images]
        hold = expected.nonzero().flatten()[: self.chunking.held]
        rest = torch.ones(len(images), dtype=torch.bool)
        rest[hold] = False
        chunks = hold.split(self.chunking.size) if len(hold) else ()
        held = [(chunk, encode(chunk)) for chunk in chunks]
        with torch.no_grad():
            forgotten = rest.nonzero().flatten()
            others = [encode(chunk) for chunk in forgotten.split(self.chunking.size) if len(chunk)]
        order = torch.cat([*chunks, forgotten])
        parts = torch.cat([*(part.detach() for _, part in held), *others])
        return torch.empty_like(parts).index_copy_(0, order.to(parts.device), parts).requires_grad_(), held

    def _backward(self, images: Tensor, encode: Callable[[Tensor], Tensor], gradient: Tensor, held: Held) -> None:
        """Run the encoder's backward pass for the gradient of the embeddings before the neck, `[n, D]`.

        If memory runs out, it begins again with the gradients that the parameters had before.
        """
        needed = (gradient != 0).any(dim=1).cpu()
        self.expected[images] = needed
        parameters = self.encoder.trainable()
        before = [None if parameter.grad is None else parameter.grad.clone() for parameter in parameters]

        def work() -> None:
            for parameter, grad in zip(parameters, before, strict=True):
                parameter.grad = None if grad is None else grad.clone()
            rest = needed.clone()
            again = []
            while held:  # each chunk is freed once it is done
                chunk, part = held.pop(0)
                rest[chunk] = False
                wanted = chunk[needed[chunk]]
                if PASSES * len(wanted) < (PASSES - 1) * len(chunk):  # encoding these few again is less work
                    again.append(wanted)
                else:
                    part.backward(gradient[chunk.to(gradient.device)])
                del part
            once_more = torch.cat([rest.nonzero().flatten(), *again])
            if not needed.any():  # gradients of 0, by which an optimizer with momentum still moves
                once_more = torch.arange(1)
            for chunk in once_more.split(self.chunking.size):
                if len(chunk):
                    encode(chunk).backward(gradient[chunk.to(gradient.device)])

        self._with_less(work)


def _has_gradient(value: LossValue) -> bool:
    return value.objective.requires_grad and bool(torch.isfinite(value.objective))
