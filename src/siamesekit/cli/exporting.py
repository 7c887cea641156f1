"""The command that writes a model for use without torch."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from siamesekit.cli.command_options import Debug, Json, Plugin, RunArgument
from siamesekit.cli.screen import news_only
from siamesekit.cli.shell import Shell
from siamesekit.cli.usage import Command

commands = typer.Typer()
"""The command, beside the others."""


@commands.command(cls=Command, short_help="Write a run's model as ONNX, for use without torch.")
def export(
    run: RunArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write: .onnx.")],
    plugin: Plugin = [],  # noqa: B006 - typer only reads it
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a run's model as one ONNX file: pixels in, embeddings out, with all that its use needs in its metadata.

    The file is written only if its embeddings, computed by onnxruntime, are those of the model. siamesekit.runtime
    reads it, and so does any program with an ONNX runtime.
    """
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.artifact.onnx_output import check_onnx_output

        check_onnx_output(output)
        shell.load_plugins(plugin)
        from siamesekit.artifact.model_name import require_model

        require_model(run)
        from siamesekit.artifact.named_model import load_named
        from siamesekit.artifact.onnx_export import export_onnx

        if not as_json:
            news_only()
        made = export_onnx(load_named(run, "cpu"), output)
        if as_json:
            shell.json(dataclasses.asdict(made))
        else:
            shell.say(
                f"{output}: {made.bytes / 1e6:.1f} MB; images uint8 [N, 3, {made.size}, {made.size}] → embeddings "
                f"[N, {made.embedding_dim}]"
            )
            shell.say(f"largest difference from torch, as 1 − cos: {made.largest_difference:.1e}")
