"""The artifact: a trained model that needs no config. `model/model.safetensors` and `model/model.json`.

Reading one runs no code of its own: weights are safetensors, the rest is JSON, and the network is built from
registered components. An artifact may come from anyone: it is checked before memory is taken for it
(docs/threat-model.md).
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.overrides import TorchFunctionMode

from siamesekit import __version__
from siamesekit.artifact_description import FORMAT, EncoderTable, read_description
from siamesekit.calibration import Calibration
from siamesekit.component_faults import is_own, told
from siamesekit.culprits import plugins_named
from siamesekit.data.images import Fit
from siamesekit.data.loading import Finding, read_chunks, report
from siamesekit.data.photo_inputs import Photo as Photo
from siamesekit.data.photo_inputs import check_batch, one_by_one, prepared
from siamesekit.data.records import Record
from siamesekit.distances.distance import Distance
from siamesekit.encoders.backbone import Backbone
from siamesekit.encoders.head import Head
from siamesekit.encoders.weights import Layout, safetensors_layouts, safetensors_state
from siamesekit.engine.precision import DeviceChoice, PrecisionChoice, choose_precision
from siamesekit.engine.random_state import OwnRandomness
from siamesekit.engine.state_files import weights_of
from siamesekit.errors import (
    ArtifactError,
    ComponentError,
    DataError,
    RunError,
    WeightsError,
    in_one_line,
    line_of_name,
    out_of_memory,
)
from siamesekit.files import fingerprint, write_atomic, write_json
from siamesekit.model import Encoder
from siamesekit.own_files import CONFIG, MANIFEST, MODEL
from siamesekit.progress import Progress, progress_here
from siamesekit.registry import DISTANCES, ENCODERS

CHUNKS = {"cpu": 16, "cuda": 128}
"""Photos embedded at a time: on a CPU few, whose activations stay in memory that is already at hand."""
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


@dataclass(frozen=True)
class Architecture:
    """What an encoder is made of, its weights aside."""

    encoder: str
    options: Mapping[str, Any]
    head: Mapping[str, Any]
    batchnorm: str


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two photos compared.

    Attributes:
        distance: smaller is nearer; at least 0, except by `dot`.
        similarity: probability 0 … 1 that both show one individual, were same and different as frequent; None where
            the model ships no threshold, or one whose verdicts may be no better than guessing.
        threshold: the distance up to which the verdict is "same", or None.
        same: the verdict, or None.
    """

    distance: float
    similarity: float | None
    threshold: float | None
    same: bool | None

    def __repr__(self) -> str:
        told = f"distance {self.distance:.4f}"
        told += ", similarity unknown" if self.similarity is None else f", similarity {self.similarity:.3f}"
        if self.same is not None and self.threshold is not None:
            told += f", {'same individual' if self.same else 'different individuals'} (threshold {self.threshold:.4f})"
        return f"Comparison({told})"


class Embedded(NamedTuple):
    """Embeddings of the photos that can be used.

    Attributes:
        embeddings: float32 `[n, D]`, on the CPU.
        kept: which of the N photos they are of, ascending, `n` of them.
        left_out: the others, each with the reason and what to do.
    """

    embeddings: Tensor
    kept: tuple[int, ...]
    left_out: tuple[Finding, ...]


def build(architecture: Architecture, pretrained: bool = False) -> Encoder:
    """Build an encoder from registered components, weights random or pretrained."""
    backbone: Backbone = ENCODERS.build(architecture.encoder, architecture.options, pretrained=pretrained)
    head = Head(backbone.num_features, **architecture.head)
    return Encoder(backbone, head, batchnorm="train" if architecture.batchnorm == "train" else "inference")


def save_model(
    folder: Path,
    encoder: Encoder,
    architecture: Architecture,
    size: int,
    fit: Fit,
    distance: Mapping[str, Any],
    operating_point: Mapping[str, Any] | None,
    notes: Mapping[str, Any],
) -> None:
    """Write the artifact; the description last, naming the weights by their SHA-256.

    Args:
        folder: `model/` in a run's folder.
        encoder: its weights.
        architecture: what it is made of.
        size: side of the square photos it takes, in pixels.
        fit: how a photo is made square.
        distance: its name and options.
        operating_point: threshold and calibration, or None.
        notes: anything a reader should know: stand-ins, figures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / WEIGHTS, lambda path: save_file(weights_of(encoder), path))
    description = {
        "format": FORMAT,
        "siamesekit": __version__,
        "encoder": {
            "name": architecture.encoder,
            "options": dict(architecture.options),
            "head": dict(architecture.head),
            "batchnorm": architecture.batchnorm,
            "mean": encoder.backbone.mean.flatten().tolist(),
            "std": encoder.backbone.std.flatten().tolist(),
        },
        "input": {"size": size, "fit": fit},
        "distance": dict(distance),
        "operating_point": operating_point,
        "weights_sha256": fingerprint(folder / WEIGHTS),
        **notes,
    }
    write_json(folder / DESCRIPTION, description)


class SimilarityModel:
    """A trained encoder with its preprocessing, distance and threshold; made by `siamesekit.load`.

    Attributes:
        encoder: the network, in inference mode.
        distance: between embeddings.
        size: side of the square it sees, in pixels.
        fit: how photos are made square.
        calibration: distance to similarity and verdict, or None.
        description: the artifact's JSON; `no_threshold` says why there is no calibration, where that is known.
        source: the folder that it was loaded from, or None.
    """

    def __init__(
        self,
        encoder: Encoder,
        distance: Distance,
        size: int,
        fit: Fit,
        calibration: Calibration | None,
        description: Mapping[str, Any],
        device: DeviceChoice = "auto",
        precision: PrecisionChoice = "fp32",
    ) -> None:
        self.precision = choose_precision(device, precision)
        self.encoder = encoder.to(self.precision.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.distance = distance
        self.size = size
        self.fit: Fit = fit
        self.calibration = calibration
        self.description = description
        self.source: Path | None = None

    def __repr__(self) -> str:
        encoder, dimensions = self.description.get("encoder", {}), self.encoder.head.embedding_dim
        distance = self.description.get("distance", {})
        limit = "no threshold" if self.threshold is None else f"threshold {self.threshold:.4f}"
        source = "" if self.source is None else f", from {str(self.source)!r}"
        return (f"SimilarityModel(encoder {encoder.get('name')!r}: photos {self.size} × {self.size} ({self.fit}) → "
                f"{dimensions} dimensions, distance {distance.get('name')!r}, {limit}, on {self.precision.device} in "
                f"{self.precision.name}{source})")  # fmt: skip

    @property
    def threshold(self) -> float | None:
        """The distance up to which two photos are called the same individual."""
        return None if self.calibration is None else self.calibration.threshold

    def prepare(self, photo: Photo) -> Tensor:
        """One photo as the network takes it, uint8 `[3, size, size]`.

        Args:
            photo: a file's path or its content (bytes, or the file opened for reading bytes), a Pillow image, an array
                uint8 RGB `[height, width, 3]`, or a tensor uint8 RGB `[3, height, width]`. A Pillow image is turned as
                its EXIF says, laid over black where it is transparent, and so on, as its file would be; so do not turn
                it yourself but by `PIL.ImageOps.exif_transpose`, which takes the EXIF's orientation away.

        Raises:
            DataError: it cannot be read, or is something else. URLs are not fetched.
        """
        return _tensor(prepared(photo, self.size, self.fit))

    def embed(self, photos: Photo | Sequence[Photo] | Tensor) -> Tensor:
        """Embeddings float32 `[N, D]`, on the CPU.

        The same photo has the same embedding as a path, as bytes and as a Pillow image that is not decoded yet; as
        decoded pixels one that differs as little as full decoding does (`siamesekit.data.images.read_square`).

        Args:
            photos: one photo or several, of any size, as `prepare` takes them; or a tensor `[N, 3, size, size]` with
                values 0 … 255, of any real type.

        Raises:
            DataError: a photo cannot be read, or is none, or there are none.
        """
        if isinstance(photos, Tensor) and photos.ndim != 3:
            check_batch(photos, self.size)
            return self._embed(photos.split(self._chunk))
        several = one_by_one(photos)
        starts = range(0, len(several), self._chunk)
        return self._embed(
            torch.stack([self.prepare(photo) for photo in several[start : start + self._chunk]]) for start in starts
        )

    def embed_files(self, files: Sequence[Path], progress: Progress | None = None) -> Tensor:
        """Embeddings `[N, D]` of photo files: the next ones are decoded while the network runs.

        Memory does not grow with the number of photos.

        Args:
            files: the photos.
            progress: is shown how far it has come. By default a notebook shows it below the cell, a terminal and a
                prompt on stderr; `Progress()` is silent.

        Raises:
            DataError: photos that cannot be read, all of them together.
        """
        return self._embed_files(files, progress, None)

    def embed_usable(self, files: Sequence[Path], progress: Progress | None = None) -> Embedded:
        """As `embed_files`, but photos that cannot be read are left out, and told beside the embeddings of the others.

        Raises:
            DataError: no photo can be read.
        """
        bad: dict[int, Finding] = {}
        try:
            embeddings = self._embed_files(files, progress, bad)
        except DataError:
            if len(bad) < len(files) or not bad:
                raise
            raise DataError(*report(tuple(bad.values()), len(files))) from None
        kept = tuple(number for number in range(len(files)) if number not in bad)
        return Embedded(embeddings, kept, tuple(bad.values()))

    def _embed_files(
        self, files: Sequence[Path], progress: Progress | None, passed_over: dict[int, Finding] | None
    ) -> Tensor:
        records = [Record(str(file), "", file) for file in files]
        reading = read_chunks(
            records, self.size, self.fit, self._chunk, progress or progress_here(), "Embedding", passed_over=passed_over
        )
        with closing(reading):
            return self._embed(reading)

    @property
    def _chunk(self) -> int:
        return CHUNKS[self.precision.device.type]

    @torch.inference_mode()
    def _embed(self, chunks: Iterable[Tensor]) -> Tensor:
        embedded = []
        with (
            plugins_named(),
            self.precision.exact(),
            self.precision.autocast(),
        ):  # one for all chunks: weights are converted once
            for chunk in chunks:
                on_device = chunk.to(self.precision.device).contiguous(memory_format=torch.channels_last)
                embedded.append(self.encoder(on_device).float().cpu())
        if not embedded:
            raise DataError("no photos to embed")
        return torch.cat(embedded)

    def compare(self, a: Photo, b: Photo) -> Comparison:
        """Distance, similarity and verdict for two photos.

        Raises:
            DataError: a photo cannot be read.
            RunError: the model gives a distance that is not a number.
        """
        first, second = self.embed([a, b])
        with plugins_named():
            distance = float(self.distance(first, second))
        if not math.isfinite(distance):
            broken = not bool(first.isfinite().all() and second.isfinite().all())
            what = "embeddings that are not numbers" if broken else f"a distance of {distance}"
            raise RunError(
                f"the model gives {what} for these photos, so there is nothing to compare: its weights are NaN, "
                "infinite or too large; train it again with a lower optimizer.lr or optimizer.clip_norm = 1.0"
            )
        fitted = self.calibration
        if fitted is None:
            return Comparison(distance, None, None, None)
        return Comparison(distance, fitted.similarity(distance), fitted.threshold, fitted.same(distance))


def _tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """Pixels `[S, S, 3]` as the network takes them, `[3, S, S]`."""
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def load(run: str | Path, device: DeviceChoice = "auto", precision: PrecisionChoice = "fp32") -> SimilarityModel:
    """Load a trained model from a run's folder, or from its `model/` folder.

    Args:
        run: the folder.
        device: where it will run.
        precision: `fp32` gives the same embeddings everywhere to rounding; `auto` takes bf16 where it is native.

    Raises:
        ArtifactError: there is none, it is damaged, or it needs a plugin that is not loaded.
    """
    root = Path(run)
    folder = root if (root / DESCRIPTION).is_file() else root / MODEL
    shown = line_of_name(str(folder))
    if not (folder / DESCRIPTION).is_file():
        raise ArtifactError(f"there is no model in {line_of_name(str(run))}: {shown}/{DESCRIPTION} is missing; "
                            f"did the run finish?{_to_go_on(root)}")  # fmt: skip
    description = read_description(folder / DESCRIPTION, inside=root)
    try:
        distance: Distance = DISTANCES.build(description.distance.name, description.distance.options)
        encoder = _network(description.encoder, description.weights_sha256, folder / WEIGHTS, root)
    except ComponentError as error:
        raise ArtifactError(f"{shown} needs a component that is not there: {in_one_line(str(error))}; if a plugin has "
                            "it, load that first (--plugin FILE)") from None  # fmt: skip
    except WeightsError as error:
        raise ArtifactError(f"{shown} is damaged: {error}") from error
    point, photos = description.operating_point, description.input
    guessing = None if point is None or point.cross_fit is None else point.cross_fit.guessing
    calibration = None
    if point is not None and guessing is None:
        calibration = Calibration(point.slope, point.intercept, point.threshold)
    plain = description.model_dump()
    plain["no_threshold"] = guessing or (description.no_threshold if calibration is None else None)
    model = SimilarityModel(encoder, distance, photos.size, photos.fit, calibration, plain, device, precision)
    model.source = root
    return model


def _to_go_on(folder: Path) -> str:
    """What finishes the run that a folder without a model holds; nothing where it holds none."""
    if not (folder / MANIFEST).is_file():
        return ""
    place = line_of_name(str(folder))
    return f" To go on with it: siamesekit run {shlex.join([f'{place}/{CONFIG}', '--out', place, '--resume'])}"


def _network(spec: EncoderTable, sha256: str, weights: Path, inside: Path) -> Encoder:
    """The encoder with its weights; no memory is taken for it before the file has proved to hold exactly it.

    Raises:
        ArtifactError: the file holds other tensors, or is not the one that was saved.
        ComponentError: a component is not there.
        WeightsError: the file cannot be read.
    """
    layouts = safetensors_layouts(weights, inside)
    architecture = Architecture(spec.name, spec.options, spec.head, spec.batchnorm)
    shown = line_of_name(str(weights))
    outline = _outline(architecture, shown)
    if outline is not None:
        _same_tensors(shown, outline, layouts)
    if fingerprint(weights) != sha256:
        raise ArtifactError(f"{shown} is not the file that was saved: its SHA-256 differs; copy the model's folder "
                            "again")  # fmt: skip
    try:
        with OwnRandomness():  # its first weights are not kept
            encoder = build(architecture)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise ArtifactError(f"{shown}: there is not enough memory for encoder {spec.name!r}; free some, or raise the "
                            "limit of memory (ulimit -v)") from error  # fmt: skip
    if outline is None:
        _same_tensors(shown, encoder, layouts)
    encoder.load_state_dict(safetensors_state(weights))
    encoder.backbone.mean.copy_(torch.tensor(spec.mean).view(1, 3, 1, 1))
    encoder.backbone.std.copy_(torch.tensor(spec.std).view(1, 3, 1, 1))
    return encoder


def _outline(architecture: Architecture, shown: str) -> Encoder | None:
    """The encoder without memory for its tensors; None for a plugin's that cannot be built so.

    Raises:
        ArtifactError: it cannot be built.
        ComponentError: a component is not there.
    """
    ENCODERS.factory(architecture.encoder)  # imported out here: not all that torch loads then can be loaded on meta
    for mode in (torch.device("meta"), _EmptyOnMeta()):  # some networks compute with small tensors of their own
        try:
            with mode:
                return build(architecture)
        except ComponentError:
            raise
        except Exception as error:  # what a network raises is its own affair
            failure = error
    if is_own(ENCODERS.get(architecture.encoder)):
        raise ArtifactError(f"{shown}: encoder {architecture.encoder!r} cannot be built: {told(failure)}") from failure
    return None


class _EmptyOnMeta(TorchFunctionMode):
    """`torch.empty`, of which layers make their weights, takes no memory; all other tensors are real."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func`, on the meta device where it is `torch.empty`."""
        return func(*args, **({**(kwargs or {}), "device": "meta"} if func is torch.empty else kwargs or {}))


def _same_tensors(shown: str, encoder: Encoder, layouts: Mapping[str, Layout]) -> None:
    """Names, shapes and types in the file are the network's.

    Raises:
        ArtifactError: naming the first five that are not.
    """
    own = {name: Layout(tuple(value.shape), value.dtype) for name, value in encoder.state_dict().items()}
    problems = [f"{name} is not in the file" for name in own if name not in layouts]
    problems += [f"the network has no {line_of_name(name[:100])}" for name in layouts if name not in own]
    problems += [
        f"{name} is {_told(layouts[name])} in the file and {_told(layout)} in the network"
        for name, layout in own.items()
        if name in layouts and layouts[name] != layout
    ]
    if problems:
        raise ArtifactError(
            f"{shown} holds another network's weights than {DESCRIPTION} describes, {len(problems)} differences; copy "
            "the model's folder again:",
            problems[:5],
        )


def _told(layout: Layout) -> str:
    return f"{str(layout.dtype).removeprefix('torch.')} {list(layout.shape)}"
