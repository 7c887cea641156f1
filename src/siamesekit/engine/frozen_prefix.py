"""The frozen part of a backbone, run once per image.

A backbone that trains from some block on computes the same thing before it in every epoch. With deterministic input,
and the frozen part in inference mode as `Encoder` keeps it, training from stored outputs of that part is exact
(`tests/engine/test_frozen_prefix.py`). With augmentation a number of views of each photo is stored, and each epoch
takes the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, fx, nn

from siamesekit.engine.cutting import CannotCutError, cut, whole
from siamesekit.engine.feature_store import FeatureStore, Layout
from siamesekit.engine.folding import fold, products_pay
from siamesekit.engine.precision import Precision
from siamesekit.engine.prefix_key import key_of
from siamesekit.engine.random_state import drawn_by
from siamesekit.figures import gibibytes
from siamesekit.model import Encoder
from siamesekit.progress import Progress

CHUNK = 64
"""Images encoded at a time where no gradient is needed."""
Made = TypeVar("Made")
Part = Callable[..., Tensor]
"""What goes on from what is stored, to features `[n, F]`."""
RESIDENT = 0.5
"""Share of a GPU's free memory that what is stored may take, to be kept there."""


class Views(NamedTuple):
    """Changing views of the training photos.

    Attributes:
        photos: int64 `[n]`, which photos have them.
        each: how many of each photo are made, where they are stored.
        make: of images uint8 `[m, 3, S, S]`, their photos int64 `[m]`, an epoch (0: stored) and a view's number: the
            views, uint8 `[m, 3, S, S]`.
    """

    photos: Tensor
    each: int
    make: Callable[[Tensor, Tensor, int, int], Tensor]


@dataclass(frozen=True)
class Stored:
    """What is kept of N images: tensors `[N, …]`, or `[N + views · n, …]`, and the function that embeds a selection.

    Attributes:
        tensors: the frozen part's outputs, or the images themselves.
        embed: those tensors, indexed by image → embeddings `[n, D]`.
        why: what is stored and why.
        cached: whether the frozen part's output is what is stored.
        images: N.
        views: of the training photos; where `cached` they stand behind the N, one view of all photos after the other.
        by_mode: whether the code of what embeds them is another one in training than in inference.
    """

    tensors: tuple[Tensor, ...]
    embed: Callable[[Sequence[Tensor]], Tensor]
    why: str
    cached: bool
    images: int
    views: Views | None = None
    by_mode: bool = False

    def embeddings(self, images: Tensor, precision: Precision, epoch: int = 0) -> Tensor:
        """Embeddings `[n, D]` of the images `[n]` (indices), with gradient if enabled.

        In an epoch (counted from 1) with views, of that epoch's views of them; in epoch 0 of the images as they are.
        """
        viewed = self.views is not None and epoch > 0
        rows = self._rows(images, epoch) if viewed and self.cached else images
        chosen = [tensor[rows.to(tensor.device)].to(precision.device) for tensor in self.tensors]
        if self.views is not None and viewed and not self.cached:
            chosen[0] = self.views.make(chosen[0], images, epoch, 0)
        with precision.autocast():
            return self.embed(chosen)

    def _rows(self, images: Tensor, epoch: int) -> Tensor:
        assert self.views is not None
        place = torch.full((self.images,), -1, dtype=torch.int64)
        place[self.views.photos] = torch.arange(len(self.views.photos))
        return self.images + (epoch - 1) % self.views.each * len(self.views.photos) + place[images.cpu()]

    @property
    def bytes(self) -> int:
        """Size of what is stored."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors)


class FrozenPart(NamedTuple):
    """An encoder's frozen part, and what goes on from it.

    Attributes:
        outputs: of images uint8 `[n, 3, H, W]`: the tensors that cross the cut, each `[n, …]`.
        key: for the pixels of all images, chunk by chunk, the key under which those are kept.
        embed: those tensors → embeddings `[n, D]`, in the mode in which the encoder is.
        by_mode: whether the code of `embed` is another one in training than in inference.
    """

    outputs: Callable[[Tensor], tuple[Tensor, ...]]
    key: Callable[[Iterator[Tensor]], str]
    embed: Callable[[Sequence[Tensor]], Tensor]
    by_mode: bool


def frozen_part(encoder: Encoder, precision: Precision) -> FrozenPart:
    """Cut an encoder's backbone, and fold BatchNorm into convolutions; leaves the encoder in inference mode.

    Raises:
        CannotCutError: there is no frozen part, or it cannot be separated.
    """
    (prefix, tail), (resting_prefix, resting_tail) = _in_both_modes(encoder, cut)
    if prefix.code != resting_prefix.code:
        raise CannotCutError("the frozen part's own code is another one in training, so nothing is cached")
    key = key_of(encoder, prefix, precision, CHUNK)
    go_on, by_mode = _by_mode(encoder, tail, resting_tail, precision)
    _fold(encoder, prefix, precision, training=False)

    def outputs(images: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad(), precision.autocast():
            found: tuple[Tensor, ...] = prefix(encoder.backbone.scale(images.to(precision.device)))
        return found

    return FrozenPart(outputs, key, lambda tensors: encoder.embed_features(go_on(*tensors)), by_mode)


def store(
    encoder: Encoder,
    images: Tensor,
    precision: Precision,
    progress: Progress | None = None,
    views: Views | None = None,
    features: FeatureStore | None = None,
    limit: int | None = None,
    outputs: int | None = None,
) -> Stored:
    """Run the frozen part of the encoder's backbone over all images `[N, 3, H, W]` and keep its output.

    Where there is no frozen part, it cannot be separated, or its output is over the limit, the images themselves are
    kept and the whole network runs; `why` says so. The encoder is left in inference mode.

    Args:
        encoder: in the precision's device memory.
        images: uint8.
        precision: device and number format.
        progress: is shown the images.
        views: of the training photos.
        features: where outputs are kept for the next run; None: in memory, for this one.
        limit: the most bytes that the output may take.
        outputs: of how many images and views; all that are given by default, more where these are a sample.
    """
    images = images.contiguous(memory_format=torch.channels_last)
    total = len(images) + (0 if views is None else views.each * len(views.photos))

    def plain(why: str) -> Stored:
        embed, by_mode = _whole_network(encoder, precision)
        return Stored(_resident((images,), precision), embed, why, False, len(images), views, by_mode)

    try:
        part = frozen_part(encoder, precision)
    except CannotCutError as error:
        return plain(str(error))
    encoder.train()
    first, drew = drawn_by(lambda: part.outputs(images[:1]))
    encoder.eval()
    if drew:
        return plain("the frozen part draws random numbers in training, so nothing is cached")
    if not all(isinstance(output, Tensor) and output.shape[0] == 1 for output in first):
        return plain("the frozen part gives more than a tensor per image, so nothing is cached")
    layouts = [Layout((total, *output.shape[1:]), output.dtype) for output in first]
    size = sum(layout.bytes for layout in layouts) * (outputs or total) // total
    if limit is not None and size > limit:
        most = gibibytes(limit)
        return plain(f"the frozen part's output would take {gibibytes(size)}, more than the limit of {most}, so "
                     "nothing is cached")  # fmt: skip

    def fill(kept: Sequence[Tensor]) -> None:
        start = 0
        for chunk in _tracked(_pixels(images, views), total, progress):
            for target, output in zip(kept, part.outputs(chunk), strict=True):
                target[start : start + len(chunk)] = output
            start += len(chunk)

    if features is None:
        kept, found = tuple(layout.empty() for layout in layouts), False
        fill(kept)
    else:
        key = part.key(_pixels(images, views))
        loaded = features.load(key, layouts)
        found = loaded is not None
        kept = features.make(key, layouts, fill) if loaded is None else loaded
    why = "the frozen part's output is cached" + (", as an earlier run left it" if found else "")
    return Stored(_resident(kept, precision), part.embed, why, True, len(images), views, part.by_mode)


def _in_both_modes(encoder: Encoder, make: Callable[[nn.Module], Made]) -> tuple[Made, Made]:
    """What is made of the backbone's network in training and in inference mode; leaves the encoder in the latter."""
    try:
        encoder.train()
        training = make(encoder.backbone.network)
        encoder.eval()
        return training, make(encoder.backbone.network)
    finally:
        encoder.eval()


def _by_mode(
    encoder: Encoder, training: fx.GraphModule, resting: fx.GraphModule, precision: Precision
) -> tuple[Part, bool]:
    """What runs the graph of the mode in which the encoder is, both of them folded, and whether they are two."""
    same = training.code == resting.code
    _fold(encoder, training, precision, training=True)
    if same:
        return training, False
    _fold(encoder, resting, precision, training=False)

    def run(*inputs: Tensor) -> Tensor:
        features: Tensor = (training if encoder.training else resting)(*inputs)
        return features

    return run, True


def _whole_network(encoder: Encoder, precision: Precision) -> tuple[Callable[[Sequence[Tensor]], Tensor], bool]:
    """Images to embeddings, BatchNorm folded where the network can be traced, and whether its code is by mode."""
    try:
        training, resting = _in_both_modes(encoder, whole)
    except CannotCutError:
        return lambda tensors: encoder(tensors[0]), False
    network, by_mode = _by_mode(encoder, training, resting, precision)
    return lambda tensors: encoder.embed_features(network(encoder.backbone.scale(tensors[0]))), by_mode


def _fold(encoder: Encoder, part: fx.GraphModule, precision: Precision, training: bool) -> None:
    """Fold BatchNorm into convolutions, in the mode in which the part will run; leaves the encoder in eval mode."""
    encoder.train(training)
    fold(part, products=products_pay(precision.device))
    encoder.eval()


def _resident(tensors: tuple[Tensor, ...], precision: Precision) -> tuple[Tensor, ...]:
    """On a GPU, if they fit beside what else is needed there."""
    if precision.device.type != "cuda":
        return tensors
    free, _ = torch.cuda.mem_get_info(precision.device)
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    return tuple(tensor.to(precision.device) for tensor in tensors) if size < RESIDENT * free else tensors


def _pixels(images: Tensor, views: Views | None) -> Iterator[Tensor]:
    """All images in chunks, then each view of all its photos."""
    yield from images.split(CHUNK)
    if views is not None:
        for number in range(views.each):
            for photos in views.photos.split(CHUNK):
                made = views.make(images[photos], photos, 0, number)
                yield made.contiguous(memory_format=torch.channels_last)


def _tracked(chunks: Iterator[Tensor], images: int, progress: Progress | None) -> Iterator[Tensor]:
    """Chunks, shown as images."""
    shown = (progress or Progress()).track(range(images), images, "Encoding the frozen part", "images")
    for chunk in chunks:
        yield chunk
        for _ in range(len(chunk)):
            next(shown, None)
    next(shown, None)
