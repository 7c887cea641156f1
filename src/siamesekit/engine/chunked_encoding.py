"""A batch encoded in chunks: its outputs first, and its backward pass once the gradient of the outputs is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from siamesekit.errors import RunError, out_of_memory

Encode = Callable[[Tensor], Tensor]
"""A function from indices into a batch, int64 `[m]`, to the outputs of these images, `[m, D]`, with their graph."""
Result = TypeVar("Result")
TRAINED_CHUNK = 86
"""Images encoded at a time with gradient, or fewer if memory is short."""
PASSES = 3
"""Cost of encoding again with a backward pass, in forward passes: a backward pass costs about two."""


@dataclass(frozen=True)
class Chunking:
    """How a batch is split into chunks.

    Attributes:
        size: number of images per chunk.
        held: most images whose activations are held between forward and backward pass; the rest is encoded twice.
    """

    size: int = TRAINED_CHUNK
    held: int = 1 << 62


class ChunkedEncoding:
    """Encodes the images of a batch, and runs the exact backward pass with the least work.

    `forward` and then `backward` are called once for each batch.

    Args:
        parameters: the parameters that train; gradients are added to their `grad`.
        device: the device of the outputs.
        chunking: how batches are split into chunks.
        say: receives a message if memory runs out and chunks become smaller.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        device: torch.device,
        chunking: Chunking,
        say: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.parameters = parameters
        self.device = device
        self.chunking = chunking
        self.say = say
        self._encode: Encode = _nothing
        self._held: list[tuple[Tensor, Tensor]] = []  # chunks: indices int64 `[m]`, and outputs with their graph

    def forward(self, encode: Encode, expected: Tensor) -> Tensor:
        """The outputs `[n, D]` of a batch, without gradient.

        Args:
            encode: encodes images of the batch.
            expected: bool `[n]`, whether each image is expected to get a gradient. It affects only the amount of work
                and the rounding.
        """
        self._encode = encode

        def work() -> Tensor:
            self._held = []
            hold = expected.nonzero().flatten()[: self.chunking.held]
            rest = torch.ones(len(expected), dtype=torch.bool)
            rest[hold] = False
            chunks = hold.split(self.chunking.size) if len(hold) else ()
            self._held = [(chunk, encode(chunk)) for chunk in chunks]
            with torch.no_grad():
                forgotten = rest.nonzero().flatten()
                others = [encode(chunk) for chunk in forgotten.split(self.chunking.size) if len(chunk)]
            order = torch.cat([*chunks, forgotten])
            parts = torch.cat([*(part.detach() for _, part in self._held), *others])
            return torch.empty_like(parts).index_copy_(0, order.to(parts.device), parts)

        return self._with_less(work)

    def backward(self, gradient: Tensor, moves: bool = True) -> Tensor:
        """Run the backward pass for the gradient of the outputs, `[n, D]`.

        If memory runs out, it begins again with the gradients that the parameters had before.

        Args:
            gradient: gradient of the outputs.
            moves: whether the parameters get gradients of 0 if all of `gradient` is 0: an optimizer with momentum still
                moves by them.

        Returns:
            Whether each image has a gradient, bool `[n]`.
        """
        needed = (gradient != 0).any(dim=1).cpu()
        before = [parameter.grad for parameter in self.parameters]

        def work() -> None:
            for parameter, grad in zip(self.parameters, before, strict=True):
                parameter.grad = None if grad is None else grad.clone()
            rest = needed.clone()
            again = []
            while self._held:  # each chunk is freed once it is done
                chunk, part = self._held.pop(0)
                rest[chunk] = False
                wanted = chunk[needed[chunk]]
                if PASSES * len(wanted) < (PASSES - 1) * len(chunk):  # encoding these few again is less work
                    again.append(wanted)
                else:
                    part.backward(gradient[chunk.to(gradient.device)])
                del part
            once_more = torch.cat([rest.nonzero().flatten(), *again])
            if moves and not needed.any():
                once_more = torch.arange(1)
            for chunk in once_more.split(self.chunking.size):
                if len(chunk):
                    self._encode(chunk).backward(gradient[chunk.to(gradient.device)])

        self._with_less(work)
        return needed

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
            if self.device.type == "cuda":
                torch.cuda.empty_cache()


def _nothing(chosen: Tensor) -> Tensor:
    raise AssertionError("backward without forward")
