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

import torch
from torch import Tensor

from siamesekit.components.encoders.head import Head
from siamesekit.components.losses.loss import LossValue
from siamesekit.engine.chunked_encoding import ChunkedEncoding, Chunking
from siamesekit.engine.chunking import why_whole
from siamesekit.engine.faults import failing_as
from siamesekit.engine.frozen.stored import Stored, Team
from siamesekit.errors import RunError, out_of_memory
from siamesekit.hardware.compute import Compute
from siamesekit.model import Encoder


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
        chunking = chunking or Chunking()
        self._chunked = ChunkedEncoding(encoder.trainable(), compute.device, chunking, say)
        self.whole = why_whole(encoder, stored, compute)
        if stored.team is not None:
            stored.team.begin_training(chunking.size, chunking.held, self.whole is not None, say)
        self.expected = torch.ones(stored.images, dtype=torch.bool)

    @property
    def chunking(self) -> Chunking:
        """How batches are split into chunks; chunks become smaller if memory runs out."""
        return self._chunked.chunking

    def __call__(self, images: Tensor, loss: Callable[..., LossValue], epoch: int = 0) -> tuple[LossValue, Tensor]:
        """Compute the loss of a batch, add its gradient to the parameters, and return loss and embeddings `[n, D]`.

        The embeddings are detached. No gradient is added if the loss is not finite or depends on no trained parameter.

        Args:
            images: int64 `[n]`, distinct indices of stored images.
            loss: the loss as a function of the embeddings `[n, D]` and, if the head has a neck, of those before it,
                `[n, D]`.
            epoch: the epoch whose views of the images are used; 0 for the images as they are.
        """

        if self.stored.team is not None:
            return self._by_team(self.stored.team, images, loss, epoch)

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
            outputs = self._chunked.forward(encode, self.expected[images])
        value, embeddings, gradient = self._of_outputs(outputs, loss, lambda before: before)
        if gradient is not None:
            with failing_as("encoder"):
                self.expected[images] = self._chunked.backward(gradient)
        return value, embeddings

    def _by_team(
        self, team: Team, images: Tensor, loss: Callable[..., LossValue], epoch: int
    ) -> tuple[LossValue, Tensor]:
        """The same step by several processes, which encode; head and loss are computed here for the whole batch."""
        with failing_as("encoder"):
            features = team.forward(images, self.expected[images], epoch)
        value, embeddings, gradient = self._of_outputs(features, loss, self.encoder.before_neck)
        if gradient is not None:
            with failing_as("encoder"):
                self.expected[images] = team.backward(gradient)
        return value, embeddings

    def _of_outputs(
        self, outputs: Tensor, loss: Callable[..., LossValue], before_neck: Callable[[Tensor], Tensor]
    ) -> tuple[LossValue, Tensor, Tensor | None]:
        """Loss, detached embeddings, and the gradient of outputs `[n, F]` that were encoded without their graph.

        Args:
            outputs: outputs of a part of the encoder.
            loss: the loss, as in a call.
            before_neck: the rest of the encoder up to the neck.

        Returns:
            The gradient is None if none is to be added.
        """
        outputs.requires_grad_()
        with failing_as("encoder"):
            before = before_neck(outputs)
        value, embeddings = self._loss(loss, before)
        if not _has_gradient(value):
            return value, embeddings, None
        with failing_as("loss"):
            value.objective.backward()
        return value, embeddings, outputs.grad if outputs.grad is not None else torch.zeros_like(outputs)

    def _loss(self, loss: Callable[..., LossValue], before: Tensor) -> tuple[LossValue, Tensor]:
        """The loss of a whole batch from its embeddings before the neck `[n, D]`, and the detached embeddings."""
        head = self.encoder.head
        if not isinstance(head, Head) or not head.has_neck:
            return loss(before), before.detach()
        with failing_as("encoder"):
            embeddings = self.encoder.after_neck(before)
        return loss(embeddings, head.scaled(before)), embeddings.detach()


def _has_gradient(value: LossValue) -> bool:
    return value.objective.requires_grad and bool(torch.isfinite(value.objective))
