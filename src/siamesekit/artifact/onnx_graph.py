"""The network of a model as ONNX: from pixels 0 … 255 to embeddings, scaling of the input and views included."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch
from torch import Tensor, nn

from siamesekit.artifact.onnx_description import INPUT, LONGEST_REASON, OUTPUT
from siamesekit.components.encoders.head import L2Normalize
from siamesekit.components.encoders.views import normalizes, photo_views
from siamesekit.errors import UserError, out_of_memory
from siamesekit.model import Encoder
from siamesekit.wording import first_line

OPSET = 18
"""Version of ONNX's operators; onnxruntime has them since 1.14."""
EXAMPLE = 2
"""Photos of the batch by which the network is traced. With one, a tracer may take the batch for constant."""


class OnnxNetwork(nn.Module):
    """Images uint8 `[N, 3, S, S]` → embeddings `[N, D]`, with the views of `embed_views`, embedded as one batch.

    Args:
        encoder: the encoder, in inference mode.
        tta: views in addition to the images as they are.
    """

    def __init__(self, encoder: Encoder, tta: Sequence[str]) -> None:
        super().__init__()
        self.backbone, self.head = encoder.backbone, encoder.head
        self.tta = tuple(tta)
        self.unit_length = normalizes(encoder.head)

    def forward(self, images: Tensor) -> Tensor:
        """Embed images `[N, 3, S, S]` → `[N, D]`."""
        views = photo_views(images.float(), self.tta)
        embeddings: Tensor = self.head(self.backbone(torch.cat(views) if len(views) > 1 else views[0]))
        if len(views) == 1:
            return embeddings
        mean = embeddings.unflatten(0, (len(views), -1)).mean(0)
        return cast(Tensor, L2Normalize()(mean)) if self.unit_length else mean


def onnx_graph(encoder: Encoder, tta: Sequence[str], size: int, name: str) -> bytes:
    """An encoder as the content of an ONNX file, with a batch of any size.

    torch's tracer is tried first: it takes a tenth of the time of `torch.export`, which knows some further operators.
    A graph that ONNX's own checker refuses counts as a failure.

    Args:
        encoder: the encoder, in inference mode, on the CPU.
        tta: views in addition to the images as they are.
        size: side of the images.
        name: name of the encoder, for errors.

    Raises:
        UserError: the network cannot be expressed in ONNX.
    """
    import onnx

    network = OnnxNetwork(encoder, tta).eval()
    images = torch.zeros(EXAMPLE, 3, size, size, dtype=torch.uint8)
    reasons = []
    for exporter in (_traced, _exported):
        try:
            with warnings.catch_warnings(), _silent(), torch.no_grad():
                warnings.simplefilter("ignore")
                graph = exporter(network, images)
            onnx.checker.check_model(graph)
            return graph
        except Exception as error:  # networks and exporters raise errors of any type
            if out_of_memory(error):
                raise
            reasons.append(first_line(f"{type(error).__name__}: {error}", LONGEST_REASON))
    raise UserError(f"encoder {name!r} cannot be exported to ONNX: {reasons[0]}; by torch.export: {reasons[1]}")


@contextmanager
def _silent() -> Iterator[None]:
    """Context in which torch prints nothing on stdout.

    A tracer that fails prints the whole network from C++, so that the descriptor itself leads nowhere meanwhile.
    """
    try:
        kept = os.dup(1)
    except OSError:  # stdout is closed, so nothing is printed
        yield
        return
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _traced(network: nn.Module, images: Tensor) -> bytes:
    """By torch's tracer, which follows the operators of one batch."""
    with TemporaryDirectory(prefix="siamesekit-export-") as folder:
        file = Path(folder, "traced.onnx")
        torch.onnx.export(
            network,
            (images,),
            str(file),
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "N"}, OUTPUT: {0: "N"}},
        )
        return file.read_bytes()


def _exported(network: nn.Module, images: Tensor) -> bytes:
    """By `torch.export`, which analyses the code of the network."""
    program = torch.onnx.export(
        network,
        (images,),
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes={INPUT: {0: torch.export.Dim("N", min=1)}},
    )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content
