"""Export a model as OpenVINO IR, which is compared with the model before it is written."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from siamesekit.artifact.export_check import Network, largest_difference, refused
from siamesekit.artifact.onnx_description import INPUT, KEY, OUTPUT
from siamesekit.artifact.onnx_export import Exported, description_of, onnx_content
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.files.atomic import write_several


def export_openvino(model: SimilarityModel, file: Path) -> Exported:
    """Write a run's model as OpenVINO IR: FILE.xml with its description in `rt_info`, and the weights in FILE.bin.

    The network is converted from ONNX, and both are compared with the model as `export_onnx` does. Existing files are
    replaced.

    Args:
        model: a model that `siamesekit.load` gave, on the CPU in fp32.
        file: the file to write, with the suffix `.xml`.

    Raises:
        OutputError: the files cannot be written.
        UserError: the network cannot be exported, or the result differs from it; nothing is written.
    """
    content, _ = onnx_content(model)
    weights = file.with_suffix(".bin")
    with TemporaryDirectory(prefix="siamesekit-openvino-") as folder:
        made = Path(folder, file.name)
        _convert(content, model, made)
        difference = largest_difference(model, "openvino", lambda: _network(made))
        files = {each.name: (made.parent / each.name).read_bytes() for each in (weights, file)}
    write_several(file.parent, files)
    size = sum(len(each) for each in files.values())
    return Exported(file, size, model.size, model.encoder.head.embedding_dim, difference)


def _convert(content: bytes, model: SimilarityModel, made: Path) -> None:
    import openvino

    source = made.with_suffix(".onnx")
    source.write_bytes(content)
    with refused(f"encoder {model.description['encoder']['name']!r} cannot be exported to OpenVINO"):
        network = openvino.convert_model(source)
        network.set_rt_info(json.dumps(description_of(model), allow_nan=False), [KEY])
        openvino.save_model(network, made, compress_to_fp16=False)


def _network(file: Path) -> Network:
    import openvino

    compiled = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda pixels: compiled({INPUT: pixels})[OUTPUT]
