"""Export a model as a program of `torch.export`, which is compared with the model before it is written."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.artifact.export_check import Network, largest_difference
from siamesekit.artifact.onnx_description import INPUT, KEY, LONGEST_REASON
from siamesekit.artifact.onnx_export import Exported, description_of
from siamesekit.artifact.onnx_graph import EXAMPLE, OnnxNetwork
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.errors import UserError, out_of_memory
from siamesekit.files.atomic import write_atomic
from siamesekit.wording import first_line


def export_torch(model: SimilarityModel, file: Path) -> Exported:
    """Write a run's model as one file of `torch.export` (.pt2), with its description in the extra file `siamesekit`.

    It is compared with the model as `export_onnx` does. An existing file is replaced.

    Args:
        model: a model that `siamesekit.load` gave, on the CPU in fp32.
        file: the file to write.

    Raises:
        OutputError: the file cannot be written.
        UserError: the network cannot be exported, or the result differs from it; nothing is written.
    """
    content = _content(model)
    difference = largest_difference(model, "torch.export", lambda: _network(content))
    write_atomic(file, content)
    return Exported(file, len(content), model.size, model.encoder.head.embedding_dim, difference)


def _content(model: SimilarityModel) -> bytes:
    network = OnnxNetwork(model.encoder, model.tta).eval()
    images = torch.zeros(EXAMPLE, 3, model.size, model.size, dtype=torch.uint8)
    written = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                network, (images,), dynamic_shapes={INPUT: {0: torch.export.Dim("N", min=1)}}, strict=False
            )
            about = json.dumps(description_of(model), ensure_ascii=False, allow_nan=False)
            torch.export.save(program, written, extra_files={KEY: about})
    except Exception as error:  # networks and exporters raise errors of any type
        if out_of_memory(error):
            raise
        reason = first_line(f"{type(error).__name__}: {error}", LONGEST_REASON)
        name = model.description["encoder"]["name"]
        raise UserError(f"encoder {name!r} cannot be exported by torch.export: {reason}") from error
    return written.getvalue()


def _network(content: bytes) -> Network:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = torch.export.load(io.BytesIO(content)).module()

    def run(pixels: NDArray[np.uint8]) -> Any:
        with torch.no_grad():
            return network(torch.from_numpy(pixels)).numpy()

    return run
