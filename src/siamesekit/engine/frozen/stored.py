"""What training reads in place of photos: stored images, or the frozen part's output for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from siamesekit.engine.activation_checkpointing import Segments
from siamesekit.hardware.compute import Compute

EMBEDDED_CHUNK = 64
"""Images encoded at a time without gradient, if they have at most `CHUNK_SIDE` pixels a side."""
CHUNK_SIDE = 224


class FrozenPart(NamedTuple):
    """An encoder's frozen part, and the function that continues from its outputs.

    Attributes:
        outputs: function from images uint8 `[n, 3, H, W]` to the tensors that cross the cut, each `[n, …]`.
        key: function from the pixels of all images, chunk by chunk, to the key of these tensors in the cache.
        features: function from these tensors to the backbone's features `[n, F]`, in the encoder's current mode.
        by_mode: whether `features` runs different code in training and in inference.
        segments: the blocks whose activations are computed again in the backward pass, if any.
    """

    outputs: Callable[[Tensor], tuple[Tensor, ...]]
    key: Callable[[Iterator[Tensor]], str]
    features: Callable[[Sequence[Tensor]], Tensor]
    by_mode: bool
    segments: Segments | None = None


class Views(NamedTuple):
    """Views of the training photos, which change from epoch to epoch.

    Attributes:
        photos: photos that have views, int64 `[n]`.
        each: number of views per photo, if views are stored.
        make: function from images uint8 `[m, 3, S, S]`, their photos int64 `[m]`, an epoch (0 for stored views) and the
            number of a view to the views, uint8 `[m, 3, S, S]`.
    """

    photos: Tensor
    each: int
    make: Callable[[Tensor, Tensor, int, int], Tensor]


class Team(Protocol):
    """Several processes that encode images together (`siamesekit.engine.ranks.leading`)."""

    def features(self, images: Tensor) -> Tensor:
        """Features `[n, F]` of images with indices int64 `[n]`, in inference mode, without gradient."""
        ...

    def view_features(self, photos: Tensor, tta: Sequence[str]) -> Iterator[Tensor]:
        """Features of the V views of photos int64 `[n]`, in inference mode: `[m, V, F]` of some photos at a time."""
        ...

    def forward(self, images: Tensor, expected: Tensor, epoch: int) -> Tensor:
        """Features `[n, F]` of a batch in training mode, without gradient; `backward` follows for the same batch.

        Args:
            images: int64 `[n]`, distinct indices of stored images.
            expected: bool `[n]`, whether each image is expected to get a gradient.
            epoch: the epoch whose views of the images are used.
        """
        ...

    def backward(self, gradient: Tensor) -> Tensor:
        """Add the gradients of the backbone's parameters, for the gradient `[n, F]` of the features.

        Returns:
            Whether each image has a gradient, bool `[n]`.
        """
        ...

    def merge_lora(self) -> None:
        """Let the other processes merge LoRA into their weights, as they are now; this process does it by itself."""
        ...

    def begin_training(self, size: int, held: int, whole: bool, say: Callable[[str], object]) -> None:
        """Say how batches are split into chunks, or that each process encodes its share whole."""
        ...


@dataclass(frozen=True)
class Stored:
    """N stored images, as tensors `[N, …]` or `[N + views · n, …]`, and the function that embeds a selection.

    Attributes:
        tensors: outputs of the frozen part, or the images themselves.
        embed: function from rows of the tensors to embeddings `[n, D]` before the neck (`Encoder.before_neck`).
        why: what is stored and why, in words.
        cached: whether outputs of the frozen part are stored, not the images.
        images: number of images, N.
        views: views of the training photos. If `cached`, their rows follow the N images, first view 0 of all n photos,
            then view 1, and so on.
        by_mode: whether `embed` runs different code in training and in inference.
        chunk: number of images to embed at a time without gradient.
        release: takes what was read of the tensors out of memory, if they are mapped files.
        features: function from rows of the tensors to the backbone's features `[n, F]`; None if unknown.
        segments: the blocks whose activations are computed again in the backward pass, if any.
        team: the processes that encode these images together; None if this process does it alone.
    """

    tensors: tuple[Tensor, ...]
    embed: Callable[[Sequence[Tensor]], Tensor]
    why: str
    cached: bool
    images: int
    views: Views | None = None
    by_mode: bool = False
    chunk: int = EMBEDDED_CHUNK
    release: Callable[[], None] | None = None
    features: Callable[[Sequence[Tensor]], Tensor] | None = None
    segments: Segments | None = None
    team: Team | None = None

    def embeddings(self, images: Tensor, compute: Compute, epoch: int = 0) -> Tensor:
        """Embeddings `[n, D]` before the neck of the images with indices `[n]`, with gradient if enabled.

        Without a neck these are the embeddings; else they follow by `Encoder.after_neck`, for a whole batch at once.

        In an epoch from 1 on, that epoch's views of the images are embedded; in epoch 0 the images as they are.
        """
        rows = self.rows(images, compute, epoch)
        with compute.autocast():
            return self.embed(rows)

    def features_of(self, images: Tensor, compute: Compute, epoch: int = 0) -> Tensor:
        """The backbone's features `[n, F]` of the images with indices `[n]`, with gradient if enabled."""
        assert self.features is not None
        rows = self.rows(images, compute, epoch)
        with compute.autocast():
            return self.features(rows)

    def rows(self, images: Tensor, compute: Compute, epoch: int = 0) -> list[Tensor]:
        """The rows of the tensors, each `[n, …]`, for the images with indices `[n]`, on the device of `compute`."""
        viewed = self.views is not None and epoch > 0
        rows = self._rows(images, epoch) if viewed and self.cached else images
        chosen = [tensor[rows.to(tensor.device)].to(compute.device) for tensor in self.tensors]
        if self.release is not None:
            self.release()
        if self.views is not None and viewed and not self.cached:
            chosen[0] = self.views.make(chosen[0], images, epoch, 0)
        return chosen

    def _rows(self, images: Tensor, epoch: int) -> Tensor:
        assert self.views is not None
        place = torch.full((self.images,), -1, dtype=torch.int64)
        place[self.views.photos] = torch.arange(len(self.views.photos))
        return self.images + (epoch - 1) % self.views.each * len(self.views.photos) + place[images.cpu()]

    @property
    def bytes(self) -> int:
        """Size of the stored tensors."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors)


def pixel_chunk(images: Tensor) -> int:
    """Number of images `[N, 3, S, S]` encoded at a time: fewer of large ones, for the same memory."""
    return max(1, EMBEDDED_CHUNK * CHUNK_SIDE**2 // max(CHUNK_SIDE, images.shape[-1]) ** 2)


def selections(images: Tensor, views: Views | None, chunk: int) -> Iterator[tuple[Tensor, int | None]]:
    """All images `[N, 3, S, S]`, then the views of the training photos, view by view, some at a time.

    Yields:
        Photos, int64 `[n]` with n ≤ `chunk`, and the number of their stored view; None for the photos as they are.
    """
    for photos in torch.arange(len(images)).split(chunk):
        yield photos, None
    if views is not None:
        for number in range(views.each):
            for photos in views.photos.split(chunk):
                yield photos, number


def pixels_of(images: Tensor, views: Views | None, photos: Tensor, view: int | None = None) -> Tensor:
    """The pixels uint8 `[n, 3, S, S]` of photos with indices int64 `[n]`, or of one of their stored views."""
    pixels = images[photos]
    if view is not None:
        assert views is not None
        pixels = views.make(pixels, photos, 0, view)
    return pixels.contiguous(memory_format=torch.channels_last)
