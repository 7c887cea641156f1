"""Export a model as one ONNX file, which is compared with the model before it is written."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from siamesekit._version import __version__
from siamesekit.artifact.onnx_description import FORMAT, INPUT, KEY, LONGEST_REASON, OUTPUT
from siamesekit.artifact.onnx_graph import onnx_graph
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.errors import UserError
from siamesekit.files.atomic import write_atomic
from siamesekit.randomness import generator
from siamesekit.wording import first_line

BATCHES = (1, 2, 7, 64)
"""Numbers of photos in the batches by which the file is compared with the model."""
MOST_APART = 1e-5
"""Largest 1 − cos between the embeddings of a photo by onnxruntime and by torch, and largest relative difference of
their lengths."""
MOST_BYTES = 2_000_000_000
"""Largest file: ONNX holds at most 2 GiB, weights and graph together."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        file: the file.
        bytes: its size.
        size: side of the images.
        embedding_dim: dimension D of the embeddings.
        largest_difference: largest 1 − cos between the embeddings of onnxruntime and torch.
    """

    file: Path
    bytes: int
    size: int
    embedding_dim: int
    largest_difference: float


def export_onnx(model: SimilarityModel, file: Path) -> Exported:
    """Write a run's model as one ONNX file with its description: `siamesekit.runtime` reads it.

    Embeddings of random pixels by onnxruntime are compared with the model's own, in float32, in batches of 1, 2, 7 and
    64 photos. An existing file is replaced.

    Args:
        model: a model that `siamesekit.load` gave, on the CPU in fp32.
        file: the file to write.

    Raises:
        OutputError: the file cannot be written.
        UserError: the network cannot be exported, or the result differs from it; nothing is written.
    """
    name = str(model.description["encoder"]["name"])
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.encoder.state_dict().values())
    _refuse_large(size, name)
    content = _described(onnx_graph(model.encoder, model.tta, model.size, name), _description(model))
    _refuse_large(len(content), name)
    difference = _largest_difference(model, content, name)
    write_atomic(file, content)
    return Exported(file, len(content), model.size, model.encoder.head.embedding_dim, difference)


def _refuse_large(size: int, name: str) -> None:
    if size > MOST_BYTES:
        raise UserError(
            f"encoder {name!r} has {size / 1e9:.1f} GB of weights, and an ONNX file holds at most "
            f"{MOST_BYTES / 1e9:.0f} GB; train a smaller encoder"
        )


def _description(model: SimilarityModel) -> dict[str, Any]:
    """The description in the file's metadata."""
    of = model.description
    fitted = model.calibration
    return {
        "format": FORMAT,
        "siamesekit": __version__,
        "torch": torch.__version__,
        "encoder": {"name": of["encoder"]["name"], "options": of["encoder"]["options"]},
        "input": {"size": model.size, "fit": model.fit, **asdict(model.reading)},
        "embedding_dim": model.encoder.head.embedding_dim,
        "tta": list(model.tta),
        "distance": {"name": of["distance"]["name"], "options": of["distance"]["options"]},
        "operating_point": None if fitted is None else {**of["operating_point"], **asdict(fitted)},
        "no_threshold": of.get("no_threshold"),
        "weights_sha256": of["weights_sha256"],
        "stand_ins": of["stand_ins"],
    }


def _described(graph: bytes, description: dict[str, Any]) -> bytes:
    """The content of an ONNX file, with the description in its metadata."""
    import onnx

    proto = onnx.load_model_from_string(graph)
    proto.producer_name, proto.producer_version = KEY, __version__
    onnx.helper.set_model_props(proto, {KEY: json.dumps(description, ensure_ascii=False, allow_nan=False)})
    onnx.checker.check_model(proto)
    content: bytes = proto.SerializeToString()
    return content


def _largest_difference(model: SimilarityModel, content: bytes, name: str) -> float:
    """The largest 1 − cos between embeddings of random pixels by onnxruntime and by torch.

    Raises:
        UserError: they differ by more than `MOST_APART`, or onnxruntime cannot run the network.
    """
    import onnxruntime

    draw, largest = generator(0, "export"), 0.0
    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        for count in BATCHES:
            pixels = draw.integers(0, 256, (count, 3, model.size, model.size), dtype=np.uint8)
            [found] = session.run([OUTPUT], {INPUT: pixels})
            wanted = model.embed(torch.from_numpy(pixels)).numpy()
            largest = max(largest, _apart(found, wanted, f"encoder {name!r} in a batch of {count}"))
    except UserError:
        raise
    except Exception as error:  # onnxruntime's errors have types of their own
        raise UserError(f"onnxruntime cannot run encoder {name!r}: {first_line(str(error), LONGEST_REASON)}") from error
    return largest


def _apart(found: Any, wanted: Any, what: str) -> float:
    """Largest 1 − cos of corresponding rows `[N, D]`.

    Raises:
        UserError: shapes differ, a value is NaN or infinite, or rows differ by more than `MOST_APART`.
    """
    if found.shape != wanted.shape:
        raise UserError(
            f"{what}: onnxruntime gives {list(found.shape)} and torch {list(wanted.shape)} numbers; nothing is written"
        )
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    if not np.isfinite(b).all():
        raise UserError(f"{what}: embeddings are NaN or infinite; train it again with a lower optimizer.lr")
    long_a, long_b = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    zero = (long_a == 0) & (long_b == 0)
    with np.errstate(all="ignore"):
        apart = np.where(zero, 0, 1 - (a * b).sum(1) / (long_a * long_b))
        stretched = np.where(zero, 0, np.abs(long_a / long_b - 1))
    worst = float(np.maximum(apart, stretched).max())
    if not worst <= MOST_APART:  # also NaN
        raise UserError(
            f"{what}: embeddings by onnxruntime differ from torch's by {worst:.2g}, as 1 − cos or relative length; "
            f"at most {MOST_APART:g} is allowed"
        )
    return float(apart.max())
