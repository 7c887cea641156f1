"""What one process encodes of the images that several processes encode together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from siamesekit.components.encoders.views import photo_views
from siamesekit.engine.chunked_encoding import ChunkedEncoding, Chunking
from siamesekit.engine.frozen.stored import FrozenPart, Stored, Views, pixel_chunk, pixels_of
from siamesekit.engine.ranks.synced_batchnorm import SyncedBatchNorm
from siamesekit.engine.ranks.weights import add_gradients, broadcast, every_tensor, trained_tensors
from siamesekit.hardware.compute import Compute
from siamesekit.hardware.ranks import Ranks
from siamesekit.model import Encoder


class Share:
    """Encodes some of the images by the backbone; the head belongs to the process that leads.

    Args:
        encoder: the encoder, of which the backbone is used.
        images: all images, uint8 `[N, 3, S, S]`.
        views: views of the training photos.
        compute: device and number format.
        ranks: the connection to the other processes.

    Attributes:
        part: the frozen part, while its outputs are computed.
        stored: what is read in place of photos, once it is known.
        said: messages for the user that have not been reported.
    """

    merges_lora = True
    """Whether the matrices of LoRA are added to the weights after training; else they stay beside them."""

    def __init__(self, encoder: Encoder, images: Tensor, views: Views | None, compute: Compute, ranks: Ranks) -> None:
        self.encoder = encoder
        self.ranks = ranks
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.views = views
        self.compute = compute
        self.part: FrozenPart | None = None
        self.stored: Stored | None = None
        self.said: list[str] = []
        self._chunked: ChunkedEncoding | None = None
        self._whole: Tensor | None = None  # the features of a whole share, with their graph

    @property
    def by_batch(self) -> bool:
        """Whether the backbone uses statistics of the batch, so that all processes must run it together."""
        return self._chunked is None and self.encoder.batchnorm == "train" and bool(self.parameters)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The backbone's parameters that train."""
        return [parameter for parameter in self.encoder.backbone.parameters() if parameter.requires_grad]

    def takes_part(self, count: int, trains: bool) -> bool:
        """Whether this process has to run the network if its share has `count` images."""
        return count > 0 or (trains and self.by_batch)

    def take_weights(self, every: bool) -> None:
        """Take the leader's weights, every tensor of the backbone or those that change in training.

        All processes call it at the same time; the leader's own weights stay.
        """
        broadcast(self.ranks, every_tensor(self.encoder) if every else trained_tensors(self.encoder))

    def give_gradients(self) -> None:
        """Add the gradients of all processes to those of the leader's weights; all call it at the same time."""
        add_gradients(self.ranks, self.parameters)

    def outputs(self, photos: Tensor, view: int | None) -> tuple[Tensor, ...]:
        """The frozen part's outputs, each `[n, …]`, for photos int64 `[n]` or one of their stored views."""
        assert self.part is not None
        made = [
            self.part.outputs(pixels_of(self.images, self.views, chunk, view))
            for chunk in photos.split(pixel_chunk(self.images))
        ]
        return tuple(torch.cat(each) for each in zip(*made, strict=True))

    @torch.no_grad()
    def features(self, images: Tensor, largest: int) -> Tensor:
        """Features `[n, F]` of images int64 `[n]`, in the encoder's current mode, without gradient.

        Args:
            images: the images of this process's share.
            largest: number of images of the largest share.
        """
        assert self.stored is not None
        return torch.cat([self.stored.features_of(chunk, self.compute) for chunk in images.split(self.stored.chunk)])

    @torch.no_grad()
    def view_features(self, photos: Tensor, tta: Sequence[str], largest: int) -> Tensor:
        """Features `[n, V, F]` of the views of photos int64 `[n]`, in the encoder's current mode, without gradient.

        Args:
            photos: the photos of this process's share, n > 0.
            tta: views of each photo in addition to the photo itself.
            largest: number of photos of the largest share.
        """
        return torch.cat([self._of_views(chunk, tta) for chunk in photos.split(pixel_chunk(self.images))])

    def _of_views(self, photos: Tensor, tta: Sequence[str]) -> Tensor:
        """Features `[n, V, F]` of the views of a few photos int64 `[n]`."""
        pixels = pixels_of(self.images, None, photos).to(self.encoder.backbone.mean.device)
        with self.compute.autocast():
            made = [self.encoder.backbone(view) for view in photo_views(pixels, tta)]
        return torch.stack(made, 1).to(self.compute.device)

    def begin_training(self, chunking: Chunking, whole: bool, say: Callable[[str], object] | None = None) -> None:
        """Say how the share of a batch is split into chunks, or that it is encoded whole."""
        self._chunked = (
            None if whole else ChunkedEncoding(self.parameters, self.compute.device, chunking, say or self.said.append)
        )

    def forward(self, images: Tensor, expected: Tensor, epoch: int, largest: int) -> Tensor:
        """Features `[n, F]` of a batch's share, without gradient; `backward` follows.

        Args:
            images: int64 `[n]`; n > 0 unless the batch's statistics are used (`by_batch`).
            expected: bool `[n]`, whether each image is expected to get a gradient.
            epoch: the epoch whose views of the images are used.
            largest: number of images of the largest share.
        """
        stored = self.stored
        assert stored is not None

        def encode(chosen: Tensor) -> Tensor:
            return stored.features_of(images[chosen], self.compute, epoch)

        if not self.parameters:
            with torch.no_grad():
                return torch.cat([encode(chunk) for chunk in torch.arange(len(images)).split(stored.chunk)])
        if self._chunked is None:
            with SyncedBatchNorm(self.ranks) if self.by_batch else nullcontext():
                self._whole = encode(torch.arange(len(images)))
            return self._whole.detach()
        return self._chunked.forward(encode, expected)

    def rounds_with_gradient(self, needed: Sequence[Tensor]) -> list[int]:
        """The rounds of a batch that have a gradient, where all processes encode in rounds.

        Args:
            needed: for each process, whether each image of its share has a gradient, bool `[n]`.
        """
        return []

    def backward(self, gradient: Tensor, moves: bool, rounds: Sequence[int] = ()) -> None:
        """Add the gradients of the backbone's parameters, for the gradient `[n, F]` of the share's features.

        Args:
            gradient: gradient of the features.
            moves: whether the parameters get gradients of 0 if all of `gradient` is 0.
            rounds: `rounds_with_gradient` of the batch.
        """
        if not self.parameters:
            return
        if self._chunked is not None:
            self._chunked.backward(gradient, moves)
        else:
            assert self._whole is not None
            self._whole.backward(gradient)
            self._whole = None
