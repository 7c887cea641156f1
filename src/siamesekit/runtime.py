"""Use an exported model without torch: `siamesekit export` writes it, and onnxruntime runs it.

Photos are decoded and resized by the code that training uses. This module imports no torch.

    from siamesekit.runtime import load

    model = load("model.onnx")
    model.compare("a.jpg", "b.jpg")
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from siamesekit.artifact.comparison import Comparison as Comparison
from siamesekit.artifact.numpy_distances import NUMPY_DISTANCES
from siamesekit.artifact.onnx_description import (
    AGAIN,
    INPUT,
    KEY,
    LONGEST_REASON,
    OUTPUT,
    OnnxDescription,
    parse_description,
)
from siamesekit.data.photo_inputs import Photo as Photo
from siamesekit.data.photo_inputs import one_by_one, prepared
from siamesekit.errors import ArtifactError, RunError, UserError
from siamesekit.evaluation.calibration import Calibration
from siamesekit.files.untrusted import open_regular
from siamesekit.wording import first_line, line_of_name

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CHUNK = 16
"""Number of photos that are embedded at a time."""

__all__ = ["Comparison", "OnnxModel", "Photo", "load"]


class OnnxModel:
    """An exported model; `siamesekit.runtime.load` creates it.

    Attributes:
        description: the checked content of the file's metadata: input, distance, operating point, stand-ins.
        size: side of the square image, in pixels.
        calibration: function from a distance to similarity and verdict, or None.
        source: the file.
    """

    def __init__(self, session: InferenceSession, description: OnnxDescription, source: Path) -> None:
        self._session = session
        self.description = description
        self.source = source
        self.size = description.input.size
        point = description.operating_point
        self.calibration = None if point is None else Calibration(point.slope, point.intercept, point.threshold)

    def __repr__(self) -> str:
        of = self.description
        limit = "no threshold" if self.threshold is None else f"threshold {self.threshold:.4f}"
        return (
            f"OnnxModel(encoder {of.encoder.name!r}: photos {self.size} × {self.size} ({of.input.fit}) → "
            f"{of.embedding_dim} dimensions, distance {of.distance.name!r}, {limit}, from {str(self.source)!r})"
        )

    @property
    def threshold(self) -> float | None:
        """Distance up to which two photos are called the same individual; None without calibration."""
        return None if self.calibration is None else self.calibration.threshold

    def prepare(self, photo: Photo) -> NDArray[np.uint8]:
        """Convert one photo to the input of the network, uint8 `[3, size, size]`.

        Args:
            photo: a photo in one of the forms that `SimilarityModel.prepare` accepts.

        Raises:
            DataError: the photo cannot be read, or the object is not a photo.
        """
        of = self.description.input
        return np.ascontiguousarray(prepared(photo, self.size, of.fit, of.reading).transpose(2, 0, 1))

    def embed(self, photos: Photo | Sequence[Photo]) -> NDArray[np.float32]:
        """Compute the embeddings of photos, float32 `[N, D]`, with the views of the run's model.

        Args:
            photos: one photo or several, of any size, in the forms that `prepare` accepts.

        Raises:
            DataError: a photo cannot be read, an object is not a photo, or there are no photos.
        """
        several = one_by_one(photos)
        chunks = []
        for start in range(0, len(several), CHUNK):
            images = np.stack([self.prepare(photo) for photo in several[start : start + CHUNK]])
            chunks.append(self._session.run([OUTPUT], {INPUT: images})[0])
        return np.concatenate(chunks)

    def compare(self, a: Photo, b: Photo) -> Comparison:
        """Compare two photos: distance, similarity and verdict, as `siamesekit.load(run).compare` gives them.

        Args:
            a: first photo.
            b: second photo.

        Raises:
            DataError: a photo cannot be read.
            RunError: the distance is NaN or infinite.
            UserError: the model's distance is not one of the library's own.
        """
        name = self.description.distance.name
        if name not in NUMPY_DISTANCES:
            raise UserError(
                f"the distance {name!r} cannot be computed without torch, which is possible for "
                f"{', '.join(NUMPY_DISTANCES)}; compare the embeddings yourself, or use siamesekit.load(RUN).compare"
            )
        first, second = self.embed([a, b])
        distance = float(NUMPY_DISTANCES[name](first, second))
        if not math.isfinite(distance):
            raise RunError(
                "cannot compare the photos: the model gives a distance or embeddings that are NaN or infinite; train "
                "it again with a lower optimizer.lr or optimizer.clip_norm = 1.0"
            )
        fitted = self.calibration
        if fitted is None:
            return Comparison(distance, None, None, None).of(a, b)
        return Comparison(distance, fitted.similarity(distance), fitted.threshold, fitted.same(distance)).of(a, b)


def load(file: str | Path, threads: int | None = None) -> OnnxModel:
    """Load a model that `siamesekit export` wrote.

    Args:
        file: the ONNX file.
        threads: threads of the network; None: one for each core.

    Raises:
        ArtifactError: the file is missing or damaged, or `siamesekit export` did not write it.
        UserError: onnxruntime is not installed, or the number of threads is below 1.
    """
    if find_spec("onnxruntime") is None:
        raise UserError("an ONNX model needs onnxruntime: pip install 'siamesekit[onnx]'")
    if threads is not None and threads < 1:
        raise UserError(f"threads: must be at least 1, not {threads}")
    path = Path(file)
    shown = line_of_name(str(path))
    try:
        open_regular(path).close()
    except OSError as error:
        raise ArtifactError(f"{shown} cannot be read: {error.strerror or error}") from error
    session = _session(path, shown, threads)
    metadata = session.get_modelmeta().custom_metadata_map
    if KEY not in metadata:
        raise ArtifactError(
            f"{shown} was not written by siamesekit export: its metadata has no {KEY!r}, which says how photos are "
            "resized and compared"
        )
    description = parse_description(metadata[KEY], shown)
    _refuse_another_network(session, description, shown)
    return OnnxModel(session, description, path)


def _session(path: Path, shown: str, threads: int | None) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, and need not be printed too
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have types of their own
        reason = first_line(str(error), LONGEST_REASON)
        raise ArtifactError(f"{shown} is not a model that onnxruntime can run: {reason}; {AGAIN}") from None


def _refuse_another_network(session: InferenceSession, description: OnnxDescription, shown: str) -> None:
    """Check that input and output of the network are those that the description promises."""
    size, width = description.input.size, description.embedding_dim
    inputs = [(each.name, each.type, each.shape[1:]) for each in session.get_inputs()]
    outputs = [(each.name, each.type, each.shape[1:]) for each in session.get_outputs()]
    if inputs != [(INPUT, "tensor(uint8)", [3, size, size])] or outputs != [(OUTPUT, "tensor(float)", [width])]:
        raise ArtifactError(
            f"{shown} is damaged: its network does not take {INPUT} uint8 [N, 3, {size}, {size}] and give {OUTPUT} "
            f"[N, {width}], as its metadata says; {AGAIN}"
        )
