"""Export a model as one ONNX file, which is compared with the model before it is written."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from siamesekit._version import __version__
from siamesekit.artifact.export_check import Network, largest_difference
from siamesekit.artifact.onnx_description import INPUT, KEY, OUTPUT
from siamesekit.artifact.onnx_graph import onnx_graph
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.artifact.tables import format_of
from siamesekit.errors import UserError
from siamesekit.files.atomic import write_atomic

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
    content, difference = onnx_content(model)
    write_atomic(file, content)
    return Exported(file, len(content), model.size, model.encoder.head.embedding_dim, difference)


def onnx_content(model: SimilarityModel) -> tuple[bytes, float]:
    """The content of a model's ONNX file, and the largest 1 − cos from the model.

    Raises:
        UserError: the network cannot be exported, or the result differs from it.
    """
    name = str(model.description["encoder"]["name"])
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.encoder.state_dict().values())
    _refuse_large(size, name)
    content = described(onnx_graph(model.encoder, model.tta, model.size, name), description_of(model))
    _refuse_large(len(content), name)
    return content, largest_difference(model, "onnxruntime", lambda: onnx_network(content))


def onnx_network(content: bytes) -> Network:
    """The network of an ONNX file, images uint8 `[N, 3, S, S]` → embeddings float32 `[N, D]`, by onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, and need not be printed too
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run([OUTPUT], {INPUT: pixels})[0]


def _refuse_large(size: int, name: str) -> None:
    if size > MOST_BYTES:
        raise UserError(
            f"encoder {name!r} has {size / 1e9:.1f} GB of weights, and an ONNX file holds at most "
            f"{MOST_BYTES / 1e9:.0f} GB; train a smaller encoder"
        )


def description_of(model: SimilarityModel) -> dict[str, Any]:
    """The description in an exported file's metadata."""
    of = model.description
    fitted = model.calibration
    return {
        "format": format_of(model.reading),
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


def described(graph: bytes, description: dict[str, Any]) -> bytes:
    """The content of an ONNX file, with the description in its metadata."""
    import onnx

    proto = onnx.load_model_from_string(graph)
    proto.producer_name, proto.producer_version = KEY, __version__
    onnx.helper.set_model_props(proto, {KEY: json.dumps(description, ensure_ascii=False, allow_nan=False)})
    onnx.checker.check_model(proto)
    content: bytes = proto.SerializeToString()
    return content
