"""The network of an ONNX file in int8: weights per channel, activations by the ranges that photos give.

Convolutions and matrix products with weights are computed in int8, and activations directly behind a convolution with
them. The scaling of the input, sums, the pooling and the head stay in float.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from siamesekit.artifact.export_check import refused
from siamesekit.artifact.onnx_description import INPUT
from siamesekit.errors import UserError

if TYPE_CHECKING:
    from onnx import GraphProto

PRODUCTS = ("Conv", "MatMul")
"""Operators that are computed in int8 if they have weights. A Gemm is a linear layer on vectors, such as the head's."""
ACTIVATIONS = ("Relu", "Clip")
"""Operators that a convolution in int8 takes in, as a limit of its output."""


WeightBits = Literal[7, 8]


def int8_graph(content: bytes, batches: Iterable[NDArray[np.uint8]], weight_bits: WeightBits = 8) -> bytes:
    """An ONNX network in int8, by onnxruntime's static quantization (QDQ format).

    Processors without VNNI multiply unsigned activations by signed weights fast, but add up two of these products in 16
    bits, which overflow unless the weights have 7 bits. Therefore weights of 8 bits are unsigned, with a zero point of
    128; these products are slow there.

    Args:
        content: content of an ONNX file in float32.
        batches: images uint8 `[n, 3, S, S]` by which the ranges of activations are measured: smallest and largest
            value.
        weight_bits: bits of the weights, with the sign.

    Raises:
        UserError: the network has nothing that can be computed in int8, or onnxruntime cannot do it.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with (
        TemporaryDirectory(prefix="siamesekit-int8-") as folder,
        _silent(),
        refused("onnxruntime cannot compute the network in int8"),
    ):
        given, prepared, written = (Path(folder, f"{name}.onnx") for name in ("given", "prepared", "int8"))
        given.write_bytes(content)
        quant_pre_process(given, prepared, skip_symbolic_shape=True)
        nodes = in_int8(onnx.load(prepared).graph)
        if not nodes:
            raise UserError("the network has no convolution and no matrix product with weights: int8 has no use for it")
        quantize_static(
            prepared,
            written,
            _Batches(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*PRODUCTS, *ACTIVATIONS],
            nodes_to_quantize=nodes,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8 if weight_bits == 7 else QuantType.QUInt8,
            reduce_range=weight_bits == 7,
            extra_options={"WeightSymmetric": True},
        )
        return written.read_bytes()


def in_int8(graph: GraphProto) -> list[str]:
    """The names of a network's operators that are computed in int8."""
    constant = {tensor.name for tensor in graph.initializer}
    constant |= {output for node in graph.node if node.op_type == "Constant" for output in node.output}
    names, convolved = [], set()
    for node in graph.node:  # in the order of computation
        product = node.op_type in PRODUCTS and node.input[1] in constant
        if node.name and (product or (node.op_type in ACTIVATIONS and node.input[0] in convolved)):
            names.append(node.name)
            if node.op_type == "Conv":
                convolved |= set(node.output)
    return names


class _Batches:
    """Batches as onnxruntime reads them: `CalibrationDataReader`."""

    def __init__(self, batches: Iterable[NDArray[np.uint8]]) -> None:
        self._batches = iter(batches)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        return {INPUT: next(self._batches)}

    def get_next(self) -> dict[str, Any] | None:
        """The next batch; None after the last."""
        return next(self, None)


@contextmanager
def _silent() -> Iterator[None]:
    """Context in which onnxruntime's quantizer logs nothing."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
