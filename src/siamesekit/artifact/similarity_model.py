"""The trained model for use: it embeds photos and compares them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamesekit.artifact.comparison import Comparison as Comparison
from siamesekit.artifact.saving import Preprocessing
from siamesekit.components.distances.distance import Distance
from siamesekit.components.encoders.views import checked_views, embed_views, normalizes
from siamesekit.data.images import Look
from siamesekit.data.loading import Decoding, UnusablePhoto, read_chunks, report
from siamesekit.data.photo_geometry import Fit
from siamesekit.data.photo_inputs import Photo as Photo
from siamesekit.data.photo_inputs import check_batch, one_by_one, prepared
from siamesekit.data.records import Record
from siamesekit.errors import DataError, RunError
from siamesekit.evaluation.calibration import Calibration
from siamesekit.hardware.compute import DeviceChoice, PrecisionChoice, choose_compute
from siamesekit.model import Encoder
from siamesekit.progress import Progress, progress_here
from siamesekit.registry.culprits import plugins_named

CHUNKS = {"cpu": 16, "cuda": 128}
"""Number of photos embedded at a time, by device; small chunks on a CPU reuse the memory of their activations."""


class Embedded(NamedTuple):
    """Embeddings of the usable photos.

    Attributes:
        embeddings: float32 `[n, D]`, on the CPU.
        kept: indices of the n usable photos among the N photos, ascending.
        left_out: findings on the other photos, each with the reason and what to do.
    """

    embeddings: Tensor
    kept: tuple[int, ...]
    left_out: tuple[UnusablePhoto, ...]


class SimilarityModel:
    """A trained encoder with its preprocessing, distance and threshold; `siamesekit.load` creates it.

    Attributes:
        encoder: network from image to embedding, in inference mode.
        distance: distance between embeddings.
        size: side of the square image, in pixels.
        fit: how photos are made square.
        reading: how photo files are decoded, such as the range of values of photos of more than 8 bits.
        calibration: function from a distance to similarity and verdict, or None.
        tta: views of which each embedding is the mean by default, in addition to the photo itself.
        description: JSON content of the artifact; `no_threshold` is the reason why there is no calibration, if known.
        source: folder from which the model was loaded, or None.
        hub: name of the model on the hub, with its commit, if it was loaded from there: `hub:OWNER/NAME@COMMIT`.
    """

    __module__ = "siamesekit"

    def __init__(
        self,
        encoder: Encoder,
        distance: Distance,
        preprocessing: Preprocessing,
        calibration: Calibration | None,
        description: Mapping[str, Any],
        device: DeviceChoice = "auto",
        precision: PrecisionChoice = "fp32",
    ) -> None:
        self.compute = choose_compute(device, precision)
        self.encoder = encoder.to(self.compute.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.distance = distance
        self.size = preprocessing.size
        self.fit: Fit = preprocessing.fit
        self.reading = preprocessing.reading
        self.calibration = calibration
        self.tta = checked_views(description.get("tta", ()))
        self.description = description
        self.source: Path | None = None
        self.hub: str | None = None

    def __repr__(self) -> str:
        encoder, dimensions = self.description.get("encoder", {}), self.encoder.head.embedding_dim
        distance = self.description.get("distance", {})
        limit = "no threshold" if self.threshold is None else f"threshold {self.threshold:.4f}"
        place = self.hub if self.source is None else str(self.source)
        source = "" if place is None else f", from {place!r}"
        return (
            f"SimilarityModel(encoder {encoder.get('name')!r}: photos {self.size} × {self.size} ({self.fit}) → "
            f"{dimensions} dimensions, distance {distance.get('name')!r}, {limit}, on {self.compute.device} in "
            f"{self.compute.name}{source})"
        )

    @property
    def threshold(self) -> float | None:
        """Distance up to which two photos are called the same individual; None without calibration."""
        return None if self.calibration is None else self.calibration.threshold

    def prepare(self, photo: Photo) -> Tensor:
        """Convert one photo to the input of the network, uint8 `[3, size, size]`.

        Args:
            photo: a file's path or its content (bytes, or a file opened in binary mode), a Pillow image, an array uint8
                RGB `[height, width, 3]`, or a tensor uint8 RGB `[3, height, width]`. A Pillow image is treated like its
                file: it is turned by its EXIF orientation, and transparency becomes black. Therefore turn it yourself
                only with `PIL.ImageOps.exif_transpose`, which removes the orientation from the EXIF.

        Raises:
            DataError: the photo cannot be read, or the object is not a photo. URLs are not downloaded.
        """
        return _tensor(prepared(photo, self.size, self.fit, self.reading))

    def embed(self, photos: Photo | Sequence[Photo] | Tensor, tta: Sequence[str] | None = None) -> Tensor:
        """Compute the embeddings of photos, float32 `[N, D]`, on the CPU.

        A photo has the same embedding as a path, as bytes and as a Pillow image that is not decoded yet. Decoded pixels
        give a slightly different one, as full decoding does (`siamesekit.data.images.read_square`).

        Args:
            photos: one photo or several, of any size, in the forms that `prepare` accepts; or a tensor
                `[N, 3, size, size]` with values 0 … 255, of any real type.
            tta: views of which each embedding is the mean, in addition to the photo itself: `mirror`, `crops`. By
                default those with which the model was evaluated; `()` for none.

        Raises:
            DataError: a photo cannot be read, an object is not a photo, or there are no photos.
            UserError: a view is unknown.
        """
        if isinstance(photos, Tensor) and photos.ndim != 3:
            check_batch(photos, self.size)
            return self._embed(photos.split(self._chunk), tta)
        several = one_by_one(photos)
        starts = range(0, len(several), self._chunk)
        chunks = (
            torch.stack([self.prepare(photo) for photo in several[start : start + self._chunk]]) for start in starts
        )
        return self._embed(chunks, tta)

    def embed_files(
        self, files: Sequence[Path], progress: Progress | None = None, tta: Sequence[str] | None = None
    ) -> Tensor:
        """Compute the embeddings `[N, D]` of photo files; the next photos are decoded while the network runs.

        Memory does not grow with the number of photos.

        Args:
            files: paths of the photos.
            progress: progress display. By default it is below the cell in a notebook, and on stderr in a terminal;
                `Progress()` is silent.
            tta: views of each photo, as for `embed`.

        Raises:
            DataError: photos cannot be read; it lists them all.
        """
        return self._embed_files(files, progress, None, tta)

    def embed_usable(
        self, files: Sequence[Path], progress: Progress | None = None, tta: Sequence[str] | None = None
    ) -> Embedded:
        """Like `embed_files`, but leave out photos that cannot be read, and return findings on them.

        Raises:
            DataError: no photo can be read.
        """
        bad: dict[int, UnusablePhoto] = {}
        embeddings = self._embed_files(files, progress, bad, tta)
        if not len(embeddings):
            raise DataError(*report(tuple(bad.values()), len(files)))
        kept = tuple(number for number in range(len(files)) if number not in bad)
        return Embedded(embeddings, kept, tuple(bad.values()))

    def _embed_files(
        self,
        files: Sequence[Path],
        progress: Progress | None,
        passed_over: dict[int, UnusablePhoto] | None,
        tta: Sequence[str] | None,
    ) -> Tensor:
        return self.embed_records([Record(str(file), "", file) for file in files], progress, passed_over, tta)

    def embed_records(
        self,
        records: Sequence[Record],
        progress: Progress | None = None,
        passed_over: dict[int, UnusablePhoto] | None = None,
        tta: Sequence[str] | None = None,
        look: Look | None = None,
    ) -> Tensor:
        """Compute the embeddings `[N, D]` of records, such as a reader gives; boxes are cropped.

        Args:
            records: records of the photos.
            progress: progress display, as in `embed_files`.
            passed_over: receives findings on the photos that cannot be read, by their index; these photos have no row
                in the embeddings, which are `[0, D]` where none can be read. None: such photos are an error.
            tta: views of each photo, as for `embed`.
            look: called with each decoded photo, from the threads that decode.

        Raises:
            DataError: photos cannot be read, and `passed_over` is not given; it lists them all. Or there are no photos.
        """
        if not records:
            raise DataError("no photos to embed")
        shown, decoding = progress or progress_here(), Decoding(self.reading, look)
        chunks = read_chunks(records, self.size, self.fit, self._chunk, shown, passed_over, decoding)
        with closing(chunks):
            return self._embed(chunks, tta)

    @property
    def _chunk(self) -> int:
        return CHUNKS[self.compute.device.type]

    @torch.inference_mode()
    def _embed(self, chunks: Iterable[Tensor], tta: Sequence[str] | None) -> Tensor:
        views, unit_length = self.tta if tta is None else checked_views(tta), normalizes(self.encoder.head)
        embedded = []
        with (
            plugins_named(),
            self.compute.exact(),
            self.compute.autocast(),
        ):  # one for all chunks: weights are converted once
            for chunk in chunks:
                on_device = chunk.to(self.compute.device).contiguous(memory_format=torch.channels_last)
                embedded.append(embed_views(self.encoder, on_device, views, unit_length).float().cpu())
        return torch.cat(embedded) if embedded else torch.empty(0, self.encoder.head.embedding_dim)

    def _threshold_differs(self, tta: Sequence[str] | None) -> str | None:
        """A message if the threshold was measured with other views than `tta`, else None."""
        if tta is None or self.calibration is None or checked_views(tta) == self.tta:
            return None
        measured = f"the views {', '.join(self.tta)}" if self.tta else "no further views"
        return f"the threshold of this model was measured with {measured}: verdict and similarity may be wrong"

    def compare(self, a: Photo, b: Photo, tta: Sequence[str] | None = None) -> Comparison:
        """Compare two photos: distance, similarity and verdict.

        With other views than the model's own there is a warning, because the threshold was measured without them.

        Args:
            a: first photo.
            b: second photo.
            tta: views of each photo, as for `embed`.

        Raises:
            DataError: a photo cannot be read.
            RunError: the distance is NaN or infinite.
        """
        if (differs := self._threshold_differs(tta)) is not None:
            warnings.warn(differs, stacklevel=2)
        first, second = self.embed([a, b], tta)
        with plugins_named():
            distance = float(self.distance(first, second))
        if not math.isfinite(distance):
            broken = not bool(first.isfinite().all() and second.isfinite().all())
            what = "embeddings that are NaN or infinite" if broken else f"a distance of {distance}"
            raise RunError(
                f"cannot compare the photos: the model gives {what}, because its weights are NaN, infinite or too "
                "large; train it again with a lower optimizer.lr or optimizer.clip_norm = 1.0"
            )
        fitted = self.calibration
        if fitted is None:
            return Comparison(distance, None, None, None).of(a, b)
        return Comparison(distance, fitted.similarity(distance), fitted.threshold, fitted.same(distance)).of(a, b)


def _tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """Convert pixels `[S, S, 3]` to the input of the network, `[3, S, S]`."""
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())
