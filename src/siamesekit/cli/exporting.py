"""The command that writes a model for use without this library, or without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from siamesekit.cli.command_options import Debug, Json, Plugin, RunArgument
from siamesekit.cli.screen import news_only
from siamesekit.cli.shell import Shell
from siamesekit.cli.usage import Command
from siamesekit.errors import UserError
from siamesekit.wording import with_interval

if TYPE_CHECKING:
    from siamesekit.artifact.onnx_export import Exported

commands = typer.Typer()
"""The command, beside the others."""


class FormatName(StrEnum):
    """`--format`."""

    onnx = "onnx"
    torch_export = "torch-export"
    openvino = "openvino"


@dataclasses.dataclass(frozen=True)
class Quantization:
    """What is asked for beside `--int8`.

    Attributes:
        calibration: folder of photos by which ranges are measured; None: photos of the run's training part.
        weight_bits: bits of the weights.
        accept: whether to write the file whatever its figures are.
    """

    calibration: Path | None
    weight_bits: int
    accept: bool

    def refuse(self, int8: bool, name: str) -> None:
        """Refuse what does not go together.

        Raises:
            UserError: an option is wrong here.
        """
        asked = (self.calibration is not None, self.weight_bits != 8, self.accept)
        for option, given in zip(("--calibration", "--weight-bits", "--accept"), asked, strict=True):
            if given and not int8:
                raise UserError(f"{option} is an option of --int8: add --int8")
        if int8 and name != FormatName.onnx:
            raise UserError(f"--int8 writes ONNX, not {name}: name a file with the suffix .onnx")
        if self.weight_bits not in (7, 8):
            raise UserError(f"--weight-bits: must be 7 or 8, not {self.weight_bits}")


@commands.command(cls=Command, short_help="Write a run's model as ONNX, for use without torch.")
def export(
    run: RunArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="File to write: .onnx, .pt2 or .xml (OpenVINO).")
    ],
    format: Annotated[
        FormatName | None, typer.Option("--format", help="Format of the file; by default its suffix names it.")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Compute the network in int8, and measure what that costs.")
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="PHOTOS",
            help="With --int8: folder of photos by which ranges are measured. Default: photos that trained the model.",
        ),
    ] = None,
    weight_bits: Annotated[
        int, typer.Option(metavar="7|8", help="With --int8: 7 is faster on processors without VNNI, and coarser.")
    ] = 8,
    accept: Annotated[
        bool, typer.Option("--accept", help="With --int8: write the file even if its figures are worse.")
    ] = False,
    plugin: Plugin = [],  # noqa: B006 - typer only reads it
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a run's model as one ONNX file: pixels in, embeddings out, with all that its use needs in its metadata.

    The file is written only if its embeddings, computed by onnxruntime, are those of the model. siamesekit.runtime
    reads it, and so does any program with an ONNX runtime. With the suffix .pt2, the file is a program of torch.export;
    with .xml, it is OpenVINO's format, and its weights are in a .bin file beside it. With --int8, the file is written
    only if it finds the run's test photos as well as the model does, within the interval of the model's figure.
    """
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.artifact.export_output import check_export_output, format_of

        name = format_of(output) if format is None else format.value
        asked = Quantization(calibration, weight_bits, accept)
        asked.refuse(int8, name)
        check_export_output(output, name)
        shell.require_files(*([] if calibration is None else [calibration]))
        shell.load_plugins(plugin)
        shell.require([run])
        if not as_json:
            news_only()
        made = _exported(run, output, name, asked if int8 else None, shell)
        if as_json:
            shell.json(dataclasses.asdict(made))
            return
        shell.say(
            f"{output}: {made.bytes / 1e6:.1f} MB; images uint8 [N, 3, {made.size}, {made.size}] → embeddings "
            f"[N, {made.embedding_dim}]"
        )
        shell.say(f"largest difference from torch, as 1 − cos: {made.largest_difference:.1e}")
        shell.lines(_cost_lines(getattr(made, "int8", None)))


def _exported(run: str, output: Path, name: str, int8: Quantization | None, shell: Shell) -> Exported:
    """Load the model and write the file."""
    from siamesekit.artifact.named_model import load

    model = load(run, "cpu")
    if int8 is not None:
        from siamesekit.experiment.int8_export import export_int8

        return export_int8(model, output, int8.calibration, 7 if int8.weight_bits == 7 else 8, int8.accept, shell)
    if name == FormatName.onnx:
        from siamesekit.artifact.onnx_export import export_onnx

        return export_onnx(model, output)
    if name == FormatName.torch_export:
        from siamesekit.artifact.torch_export import export_torch

        return export_torch(model, output)
    from siamesekit.artifact.openvino_export import export_openvino

    return export_openvino(model, output)


def _cost_lines(cost: Mapping[str, Any] | None) -> list[str]:
    """What int8 costs, a line for each figure; none for a model in float32."""
    if cost is None:
        return []
    from siamesekit.experiment.int8_export import FIGURES

    ours, theirs, cosine = cost["int8"], cost["fp32"], cost["cosine"]
    lines = [
        f"(that is the network in float32; {cost['calibration_photos']} photos gave the ranges of the one in int8)",
        f"int8 beside float32, on {cost['test_photos']} test photos of {cost['individuals']} individuals:",
        f"  cosine of the embeddings: mean {cosine['mean']:.4f}, worst {cosine['worst']:.4f}",
    ]
    for figure, label in FIGURES.items():
        if figure in ours:
            lines.append(f"  {label}: {with_interval(ours[figure])}, in float32 {with_interval(theirs[figure])}")
    if ours["threshold"] is not None:
        rates = [
            f"false accepts {_share(of['threshold']['false_accept_rate'])}, false rejects "
            f"{_share(of['threshold']['false_reject_rate'])}"
            for of in (ours, theirs)
        ]
        lines.append(f"  at the threshold: {rates[0]}, in float32 {rates[1]}")
    return [
        *lines,
        f"  size: {ours['bytes'] / 1e6:.1f} MB, in float32 {theirs['bytes'] / 1e6:.1f} MB",
        f"  on this machine: {ours['images_per_second']:.1f} images/s, in float32 {theirs['images_per_second']:.1f}",
    ]


def _share(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.3f}"
