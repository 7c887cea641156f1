"""The frozen part of a backbone, computed once per image.

The layers before the first one that trains give the same outputs in every epoch. With deterministic input, and the
frozen part in inference mode as `Encoder` keeps it, training from stored outputs is exact
(`tests/engine/frozen/test_prefix.py`). With augmentation, outputs of several views of each photo are stored, and each
epoch uses the next view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, fx, nn

from siamesekit.engine.activation_checkpointing import OPTION, Segments
from siamesekit.engine.frozen.cache_key import key_of
from siamesekit.engine.frozen.cutting import CannotCutError, cut, whole
from siamesekit.engine.frozen.feature_cache import FeatureStore, Layout
from siamesekit.engine.frozen.folding import fold
from siamesekit.engine.frozen.stored import (
    EMBEDDED_CHUNK,
    FrozenPart,
    Stored,
    Team,
    Views,
    pixel_chunk,
    pixels_of,
    selections,
)
from siamesekit.engine.frozen.whole_network import stored_for_whole_network
from siamesekit.engine.layer_rates import layers_of
from siamesekit.engine.random_state import drawn_by
from siamesekit.engine.ranks.leading import LeadingTeam
from siamesekit.engine.ranks.sharded_share import share_of
from siamesekit.errors import UserError
from siamesekit.hardware.compute import Compute
from siamesekit.model import Encoder
from siamesekit.progress import Progress
from siamesekit.wording import gibibytes

Made = TypeVar("Made")
Part = Callable[..., Tensor]
"""A function from stored tensors to features `[n, F]`."""
WHY_WHOLE = "each process holds a part of the network's weights (train.shard_encoder), so nothing is cached"
RESIDENT = 0.5
"""Largest share of a GPU's free memory that stored tensors may take to be kept there."""


def frozen_part(encoder: Encoder, compute: Compute) -> FrozenPart:
    """Cut an encoder's backbone and fold BatchNorm into convolutions; leaves the encoder in inference mode.

    Raises:
        CannotCutError: the encoder has no frozen part, or it cannot be separated.
    """
    (prefix, tail), (resting_prefix, resting_tail) = _in_both_modes(encoder, cut)
    if prefix.code != resting_prefix.code:
        raise CannotCutError("the frozen part runs different code in training, so nothing is cached")
    key = key_of(encoder, prefix, compute, EMBEDDED_CHUNK)
    run_tail, by_mode, segments = _by_mode(encoder, tail, resting_tail, compute)
    _fold(encoder, prefix, compute, training=False)

    def outputs(images: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad(), compute.autocast():
            found: tuple[Tensor, ...] = prefix(encoder.backbone.scale(images.to(compute.device)))
        return found

    return FrozenPart(outputs, key, lambda tensors: run_tail(*tensors), by_mode, segments)


class CacheLimit(NamedTuple):
    """The most bytes that the frozen part's output may take.

    Attributes:
        bytes: most bytes of all outputs together.
        images: number of images and views of the run, if only a sample of them is stored; None if all are.
    """

    bytes: int
    images: int | None = None


def store(
    encoder: Encoder,
    images: Tensor,
    compute: Compute,
    progress: Progress | None = None,
    views: Views | None = None,
    features: FeatureStore | None = None,
    limit: CacheLimit | None = None,
) -> Stored:
    """Run the frozen part of the encoder's backbone over all images `[N, 3, H, W]` and keep its output.

    If the encoder has no frozen part, the part cannot be separated or its output exceeds the limit, the images
    themselves are kept and the whole network runs; `why` gives the reason. The encoder is left in inference mode.

    Args:
        encoder: the encoder, on the device of `compute`.
        images: all images, uint8.
        compute: device and number format.
        progress: shows the images.
        views: views of the training photos.
        features: cache of outputs for later runs; None to keep them in memory only.
        limit: most bytes that the output may take.
    """
    images = images.contiguous(memory_format=torch.channels_last)
    total = len(images) + (0 if views is None else views.each * len(views.photos))
    team = None if compute.ranks is None else LeadingTeam(share_of(encoder, images, views, compute, compute.ranks))
    if encoder.sharded and team is not None:
        return stored_for_whole_network(encoder, images, views, compute, WHY_WHOLE, team)

    def plain(why: str) -> Stored:
        if team is not None:
            team.keep(None)
        return joined(stored_images(encoder, images, views, compute, why, team))

    def joined(stored: Stored) -> Stored:
        if team is not None:
            team.share.stored = stored
        return stored

    try:
        part = frozen_part(encoder, compute)
    except CannotCutError as error:
        return plain(str(error))
    encoder.train()
    first, drew = drawn_by(lambda: part.outputs(images[:1]))
    encoder.eval()
    if drew:
        return plain("the frozen part draws random numbers in training, so nothing is cached")
    if not all(isinstance(output, Tensor) and output.shape[0] == 1 for output in first):
        return plain("the frozen part's outputs are not all tensors with one row per image, so nothing is cached")
    layouts = [Layout((total, *output.shape[1:]), output.dtype) for output in first]
    if limit is not None:
        size = sum(layout.bytes for layout in layouts) * (limit.images or total) // total
        if size > limit.bytes:
            most = gibibytes(limit.bytes)
            return plain(
                f"the frozen part's output would take {gibibytes(size)}, more than the limit of {most}, so "
                "nothing is cached"
            )

    def fill(kept: Sequence[Tensor]) -> None:
        start = 0
        made = _outputs(part, images, views) if team is None else team.outputs(part, images, views)
        for outputs in _tracked(made, total, progress):
            count = len(outputs[0])
            for target, output in zip(kept, outputs, strict=True):
                target[start : start + count] = output
            start += count
            if features is not None:
                features.release()

    if features is None:
        kept, found = tuple(layout.empty() for layout in layouts), False
        fill(kept)
    else:
        key = part.key(_pixels(images, views))
        loaded = features.load(key, layouts)
        found = loaded is not None
        kept = features.make(key, layouts, fill) if loaded is None else loaded
    if team is not None:
        team.keep(kept)
    stored = stored_outputs(encoder, images, views, compute, part, kept, team)
    why = stored.why + (" from an earlier run" if found else "")
    return joined(replace(stored, why=why, release=None if features is None else features.release))


def stored_images(
    encoder: Encoder, images: Tensor, views: Views | None, compute: Compute, why: str, team: Team | None = None
) -> Stored:
    """The images themselves, uint8 `[N, 3, S, S]`, through the whole network."""
    features, by_mode, segments = _whole_network(encoder, compute)

    def embed(tensors: Sequence[Tensor]) -> Tensor:
        return encoder.before_neck(features(tensors))

    tensors = _resident((images,), compute)
    chunk = pixel_chunk(images)
    parts = features, segments, team
    return Stored(tensors, embed, why, False, len(images), views, by_mode, chunk, None, *parts)


def stored_outputs(
    encoder: Encoder,
    images: Tensor,
    views: Views | None,
    compute: Compute,
    part: FrozenPart,
    kept: Sequence[Tensor],
    team: Team | None = None,
) -> Stored:
    """The frozen part's outputs, each `[N + views · n, …]`, for the images uint8 `[N, 3, S, S]` and their views."""

    def embed(tensors: Sequence[Tensor]) -> Tensor:
        return encoder.before_neck(part.features(tensors))

    tensors, why, chunk = _resident(tuple(kept), compute), "the frozen part's output is cached", pixel_chunk(images)
    parts = part.features, part.segments, team
    return Stored(tensors, embed, why, True, len(images), views, part.by_mode, chunk, None, *parts)


def _in_both_modes(encoder: Encoder, make: Callable[[nn.Module], Made]) -> tuple[Made, Made]:
    """`make(network)` of the backbone in training and in inference mode; leaves the encoder in inference mode."""
    try:
        encoder.train()
        training = make(encoder.backbone.network)
        encoder.eval()
        return training, make(encoder.backbone.network)
    finally:
        encoder.eval()


def _by_mode(
    encoder: Encoder, training: fx.GraphModule, resting: fx.GraphModule, compute: Compute
) -> tuple[Part, bool, Segments | None]:
    """A function that runs the folded graph of the encoder's current mode, whether the two graphs differ, and the
    segments of the graph that trains if the encoder checkpoints activations.
    """
    same = training.code == resting.code
    _fold(encoder, training, compute, training=True)
    segments: Segments | None = None
    trains: Part = training
    if encoder.checkpoint_activations:
        network = encoder.backbone.network
        encoder.train()
        trains = segments = Segments(training, [network.get_submodule(name) for name in layers_of(network)])
        encoder.eval()
    if same:
        return trains, False, segments
    _fold(encoder, resting, compute, training=False)

    def run(*inputs: Tensor) -> Tensor:
        return (trains if encoder.training else resting)(*inputs)

    return run, True, segments


def _whole_network(
    encoder: Encoder, compute: Compute
) -> tuple[Callable[[Sequence[Tensor]], Tensor], bool, Segments | None]:
    """A function from images to the backbone's features, whether its code is by mode, and its segments.

    It is folded if the network can be traced.

    Raises:
        UserError: the encoder checkpoints activations, and the network cannot be traced.
    """
    try:
        training, resting = _in_both_modes(encoder, whole)
    except CannotCutError as error:
        if encoder.checkpoint_activations:
            why = str(error).removesuffix(", so nothing is cached")
            raise UserError(f"{OPTION}: {why}: remove this option") from error
        return lambda tensors: encoder.backbone(tensors[0]), False, None
    network, by_mode, segments = _by_mode(encoder, training, resting, compute)
    return lambda tensors: network(encoder.backbone.scale(tensors[0])), by_mode, segments


def _fold(encoder: Encoder, part: fx.GraphModule, compute: Compute, training: bool) -> None:
    """Fold BatchNorm into convolutions, in the mode in which the part will run; leaves the encoder in eval mode."""
    encoder.train(training)
    fold(part, products=compute.products)
    encoder.eval()


def _resident(tensors: tuple[Tensor, ...], compute: Compute) -> tuple[Tensor, ...]:
    """The tensors, moved to the GPU if they leave enough of its memory free."""
    if compute.device.type != "cuda":
        return tensors
    free, _ = torch.cuda.mem_get_info(compute.device)
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    return tuple(tensor.to(compute.device) for tensor in tensors) if size < RESIDENT * free else tensors


def _pixels(images: Tensor, views: Views | None) -> Iterator[Tensor]:
    """All images in chunks, then the views of the training photos, view by view."""
    for photos, view in selections(images, views, pixel_chunk(images)):
        yield pixels_of(images, views, photos, view)


def _outputs(part: FrozenPart, images: Tensor, views: Views | None) -> Iterator[tuple[Tensor, ...]]:
    """The frozen part's outputs for all images and then all views, chunk by chunk."""
    for pixels in _pixels(images, views):
        yield part.outputs(pixels)


def _tracked(
    outputs: Iterator[tuple[Tensor, ...]], images: int, progress: Progress | None
) -> Iterator[tuple[Tensor, ...]]:
    """Yield the outputs of chunks, with progress counted in images."""
    shown = (progress or Progress()).track(range(images), images, "Encoding the frozen part", "images")
    for chunk in outputs:
        yield chunk
        for _ in range(len(chunk[0])):
            next(shown, None)
    next(shown, None)
