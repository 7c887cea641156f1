"""The frozen part of a backbone, run once per image.

A backbone that trains from some block on computes the same thing before it in every epoch. With deterministic input,
and the frozen part in inference mode as `Encoder` keeps it, training from stored outputs of that part is exact
(`tests/engine/test_frozen_prefix.py`). With augmentation a number of views of each photo is stored, and each epoch
takes the next.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

import siamesekit
from siamesekit.engine.cutting import CannotCutError, cut, whole
from siamesekit.engine.feature_store import FeatureStore, Layout
from siamesekit.engine.folding import fold, products_pay
from siamesekit.engine.precision import Precision
from siamesekit.model import Encoder
from siamesekit.progress import Progress

CHUNK = 64
"""Images encoded at a time where no gradient is needed."""
LIBRARIES = ("torch", "torchvision", "timm", "numpy", "pillow")
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
    """

    tensors: tuple[Tensor, ...]
    embed: Callable[[Sequence[Tensor]], Tensor]
    why: str
    cached: bool
    images: int
    views: Views | None = None

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


def store(
    encoder: Encoder,
    images: Tensor,
    precision: Precision,
    progress: Progress | None = None,
    views: Views | None = None,
    features: FeatureStore | None = None,
    limit: int | None = None,
) -> Stored:
    """Run the frozen part of the encoder's backbone over all images `[N, 3, H, W]` and keep its output.

    Where there is no frozen part, it cannot be separated, or its output is over the limit, the images themselves are
    kept and the whole network runs; `why` says so.

    Args:
        encoder: in the precision's device memory.
        images: uint8.
        precision: device and number format.
        progress: is shown the images.
        views: of the training photos.
        features: where outputs are kept for the next run; None: in memory, for this one.
        limit: the most bytes that the output may take.
    """
    images = images.contiguous(memory_format=torch.channels_last)

    def plain(why: str) -> Stored:
        return Stored(_resident((images,), precision), _whole_network(encoder), why, False, len(images), views)

    try:
        prefix, tail = cut(encoder.backbone.network)
    except CannotCutError as error:
        return plain(str(error))
    key_of = _key(encoder, prefix, precision)
    _fold(encoder, tail, training=True)
    _fold(encoder, prefix, training=False)

    def run_prefix(chunk: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad(), precision.autocast():
            outputs: tuple[Tensor, ...] = prefix(encoder.backbone.scale(chunk.to(precision.device)))
        return outputs

    first = run_prefix(images[:1])
    if not all(isinstance(output, Tensor) and output.shape[0] == 1 for output in first):
        return plain("the frozen part gives more than a tensor per image, so nothing is cached")
    total = len(images) + (0 if views is None else views.each * len(views.photos))
    layouts = [Layout((total, *output.shape[1:]), output.dtype) for output in first]
    size = sum(layout.bytes for layout in layouts)
    if limit is not None and size > limit:
        return plain(f"the frozen part's output would take {size / 2**30:.1f} GiB, more than the limit of "
                     f"{limit / 2**30:.1f} GiB, so nothing is cached")  # fmt: skip

    def fill(kept: Sequence[Tensor]) -> None:
        start = 0
        for chunk in _tracked(_pixels(images, views), total, progress):
            for target, output in zip(kept, run_prefix(chunk), strict=True):
                target[start : start + len(chunk)] = output
            start += len(chunk)

    if features is None:
        kept, found = tuple(layout.empty() for layout in layouts), False
        fill(kept)
    else:
        key = key_of(_pixels(images, views))
        loaded = features.load(key)
        found = loaded is not None
        kept = features.make(key, layouts, fill) if loaded is None else loaded
    why = "the frozen part's output is cached" + (", as an earlier run left it" if found else "")

    def embed(tensors: Sequence[Tensor]) -> Tensor:
        return encoder.embed_features(tail(*tensors))

    return Stored(_resident(kept, precision), embed, why, True, len(images), views)


def _whole_network(encoder: Encoder) -> Callable[[Sequence[Tensor]], Tensor]:
    """Images to embeddings, BatchNorm folded where the network can be traced."""
    try:
        network = whole(encoder.backbone.network)
    except CannotCutError:
        return lambda tensors: encoder(tensors[0])
    _fold(encoder, network, training=True)
    return lambda tensors: encoder.embed_features(network(encoder.backbone.scale(tensors[0])))


def _fold(encoder: Encoder, part: fx.GraphModule, training: bool) -> None:
    """Fold BatchNorm into convolutions, in the mode in which the part will run; leaves the encoder in eval mode."""
    encoder.train(training)
    fold(part, products=products_pay())
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


def _key(encoder: Encoder, prefix: fx.GraphModule, precision: Precision) -> Callable[[Iterator[Tensor]], str]:
    """SHA-256 over all that decides the prefix's outputs: its code and state, libraries, device, format, and pixels."""
    digest = sha256()

    def add(*values: Any) -> None:
        for value in values:
            content = str(value).encode()
            digest.update(len(content).to_bytes(8, "little") + content)

    device = torch.cuda.get_device_name(precision.device) if precision.device.type == "cuda" else ""
    add(precision.device.type, device, precision.name, CHUNK, torch.get_num_threads(),
        torch.backends.cpu.get_cpu_capability(), products_pay(), sys.version_info,
        *(version(library) for library in LIBRARIES), siamesekit.__version__, _own_code(), prefix.code)  # fmt: skip
    for node in prefix.graph.nodes:
        if node.op == "call_module":
            module = prefix.get_submodule(str(node.target))
            add(repr(module), _source(type(module)))
        elif node.op == "call_function":
            add(node.target, _source(node.target))
    state = {**dict(prefix.named_parameters()), **dict(prefix.named_buffers()),
             "mean": encoder.backbone.mean, "std": encoder.backbone.std}  # fmt: skip
    for name, value in sorted(state.items()):
        add(name, value.dtype, tuple(value.shape))
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)

    def finish(pixels: Iterator[Tensor]) -> str:
        for chunk in pixels:
            add(tuple(chunk.shape))
            digest.update(chunk.permute(0, 2, 3, 1).contiguous().numpy().data)
        return digest.hexdigest()

    return finish


@cache
def _own_code() -> str:
    """The content of this library's files that have a part in it."""
    root = Path(siamesekit.__file__).parent
    files = sorted([*(root / "engine").glob("*.py"), *(root / "encoders").glob("*.py"), root / "model.py"])
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _source(code: Any) -> str:
    """The file in which a module's class or a function is written; torch's own is known by its version."""
    if getattr(code, "__module__", "").partition(".")[0] in ("torch", "builtins", "_operator", "math"):
        return getattr(code, "__qualname__", str(code))
    try:
        file = inspect.getsourcefile(code)
        return "" if file is None else Path(file).read_text(encoding="utf-8")
    except (TypeError, OSError):
        return getattr(code, "__qualname__", str(code))


def _tracked(chunks: Iterator[Tensor], images: int, progress: Progress | None) -> Iterator[Tensor]:
    """Chunks, shown as images."""
    shown = (progress or Progress()).track(range(images), images, "Encoding the frozen part", "images")
    for chunk in chunks:
        yield chunk
        for _ in range(len(chunk)):
            next(shown, None)
    next(shown, None)
