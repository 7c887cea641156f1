"""A training step: a batch's loss and its exact gradient, at the least work.

Where each embedding depends on its own image alone, the loss needs all embeddings of a batch at once, but the encoder
does not need the whole batch: its gradient is a sum over images, each weighing the image's own backward pass by the
gradient of the loss with respect to that embedding. So

- images go through the encoder in chunks that fit caches and memory;
- an image whose embedding gets no gradient (all its triplets are inactive) needs no backward pass;
- the activations of only so many images are held for the backward pass as memory allows; the others, and those that
  were not expected to get a gradient, are encoded again once theirs is known (gradient caching: Gao et al. 2021,
  arXiv:2101.06983).

All of that is exact (`tests/engine/test_steps.py`). Where an embedding depends on the batch (BatchNorm that trains) or
on chance (dropout), the batch is encoded whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from siamesekit.engine.cutting import why_not_alone
from siamesekit.engine.faults import failing_as
from siamesekit.engine.frozen_prefix import Stored
from siamesekit.engine.precision import Precision
from siamesekit.engine.random_state import drawn_by
from siamesekit.errors import RunError, out_of_memory
from siamesekit.losses.loss import LossValue
from siamesekit.model import Encoder

CHUNK = 86
"""Images encoded at a time with gradient, unless memory asks for fewer."""
Held = list[tuple[Tensor, Tensor]]
"""Chunks of a batch, indices int64 `[m]`, and their embeddings `[m, D]` with what their backward pass needs."""
Result = TypeVar("Result")
PASSES = 3
"""A backward pass costs about twice a forward pass, so encoding again and going back costs three."""


@dataclass(frozen=True)
class Chunking:
    """How a batch is cut up.

    Attributes:
        size: images encoded at a time.
        held: images whose activations may be held between forward and backward pass; the rest is encoded twice.
    """

    size: int = CHUNK
    held: int = 1 << 62


def why_whole(encoder: Encoder, stored: Stored | None = None, precision: Precision | None = None) -> str | None:
    """Why an encoder's batches must be encoded whole: what makes an embedding depend on more than its image.

    Its modules are looked at; and where it is said what they are given, also whether their own code is another one in
    training, and whether two photos can be embedded without drawing random numbers.

    Returns:
        A reason in words, or None where every embedding depends on its own image alone.
    """
    was_training = encoder.training
    encoder.train()
    try:
        for name, module in encoder.named_modules():
            if (reason := why_not_alone(module)) is not None:
                kind = "BatchNorm" if isinstance(module, _BatchNorm) else type(module).__name__
                return f"{kind} {name} {reason}"
        if stored is None or precision is None:
            return None
        if stored.by_mode:
            return "the network's own code is another one in training, as with a dropout that is a function"
        if _draws(stored, precision):
            return "the network draws random numbers in training"
    finally:
        encoder.train(was_training)
    return None


@torch.no_grad()
def _draws(stored: Stored, precision: Precision) -> bool:
    """Whether embedding two images, in the mode in which the encoder is, draws random numbers."""
    try:
        return drawn_by(lambda: stored.embeddings(torch.arange(min(2, stored.images)), precision))[1]
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        return False  # the step says what that means


class Stepper:
    """Computes losses and gradients of batches of stored images.

    Args:
        encoder: what trains; gradients are added to its parameters' `grad`.
        stored: the images, or what the frozen part makes of them.
        precision: device and number format.
        chunking: how batches are cut up.
        say: is told where memory does not suffice and chunks become smaller.

    Attributes:
        whole: why batches are encoded whole, or None where they are cut up.
        expected: bool `[N]` for the N stored images: whether each got a gradient when it was last in a batch. Only the
            amount of work depends on it, and the rounding.
    """

    def __init__(
        self,
        encoder: Encoder,
        stored: Stored,
        precision: Precision,
        chunking: Chunking | None = None,
        say: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.encoder = encoder
        self.stored = stored
        self.precision = precision
        self.chunking = chunking or Chunking()
        self.whole = why_whole(encoder, stored, precision)
        self.say = say
        self.expected = torch.ones(stored.images, dtype=torch.bool)

    def __call__(self, images: Tensor, loss: Callable[[Tensor], LossValue], epoch: int = 0) -> tuple[LossValue, Tensor]:
        """One batch: its loss, whose gradient goes into the parameters, and its embeddings `[n, D]`, detached.

        Where the loss is not finite, or depends on nothing that trains, there is no gradient.

        Args:
            images: int64 `[n]`, distinct indices into what is stored.
            loss: of the embeddings `[n, D]`.
            epoch: whose views of the images are taken; 0: the images as they are.
        """

        def encode(chosen: Tensor) -> Tensor:
            return self.stored.embeddings(images[chosen], self.precision, epoch)

        if self.whole is not None:
            try:
                with failing_as("encoder"):
                    embeddings = self.stored.embeddings(images, self.precision, epoch)
                value = loss(embeddings)
                with failing_as("loss"):
                    if _has_gradient(value):
                        value.objective.backward()
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                raise RunError(f"memory is not enough for a batch of {len(images)} photos, which cannot be cut up, "
                               f"because {self.whole}: make batches smaller, or set encoder.batchnorm = \"inference\" "
                               "and encoder.head.dropout = 0.0") from error  # fmt: skip
            return value, embeddings.detach()
        with failing_as("encoder"):
            embeddings, held = self._with_less(lambda: self._encode(images, encode))
        value = loss(embeddings)
        with failing_as("loss"):
            if moves := _has_gradient(value):
                value.objective.backward()
        if moves:
            gradient = embeddings.grad if embeddings.grad is not None else torch.zeros_like(embeddings)
            with failing_as("encoder"):
                self._backward(images, encode, gradient, held)
        return value, embeddings.detach()

    def _with_less(self, work: Callable[[], Result]) -> Result:
        """Do a piece of work; where memory does not suffice, again with chunks of half the size, and none held."""
        while True:
            try:
                return work()
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                if self.chunking.size <= 1:
                    raise RunError("memory is not enough for a single photo: lower data.size, take a smaller encoder, "
                                   "or let less of it train (encoder.train_from)") from error  # fmt: skip
            # Here, where the error is gone: while it is being handled its traceback holds all that `work` had.
            size = self.chunking.size // 2
            self.say(f"memory is not enough for {self.chunking.size} photos at a time: {size} from here on")
            self.chunking = Chunking(size, min(self.chunking.held, size))
            if self.precision.device.type == "cuda":
                torch.cuda.empty_cache()

    def _encode(self, images: Tensor, encode: Callable[[Tensor], Tensor]) -> tuple[Tensor, Held]:
        """A batch's embeddings `[n, D]`, a leaf of the graph, and what is held of the encoder for its backward pass."""
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
        """The encoder's backward pass for the embeddings' gradient `[n, D]`.

        Where memory does not suffice it begins anew, with the parameters' gradients as they were: None, but for what
        a loss adds.
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
            while held:  # each is let go when it is done
                chunk, part = held.pop(0)
                rest[chunk] = False
                wanted = chunk[needed[chunk]]
                if PASSES * len(wanted) < (PASSES - 1) * len(chunk):  # encoding the few again is less work
                    again.append(wanted)
                else:
                    part.backward(gradient[chunk.to(gradient.device)])
                del part
            once_more = torch.cat([rest.nonzero().flatten(), *again])
            if not needed.any():  # the optimizer still moves by its momentum, on gradients of 0
                once_more = torch.arange(1)
            for chunk in once_more.split(self.chunking.size):
                if len(chunk):
                    encode(chunk).backward(gradient[chunk.to(gradient.device)])

        self._with_less(work)


def _has_gradient(value: LossValue) -> bool:
    return value.objective.requires_grad and bool(torch.isfinite(value.objective))
