"""The command that publishes a model on the Hugging Face hub."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from siamesekit.cli.command_options import Debug, Json, Plugin, RunArgument
from siamesekit.cli.screen import news_only
from siamesekit.cli.shell import Shell
from siamesekit.cli.usage import Command
from siamesekit.wording import file_size

commands = typer.Typer()
"""The command, beside the others."""


@commands.command(cls=Command, short_help="Publish a model on the Hugging Face hub.")
def push(
    run: RunArgument,
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository on the hub; created if missing.")],
    license: Annotated[
        str | None,
        typer.Option("--license", metavar="ID", help="Licence of the model, such as mit or cc-by-nc-4.0. Required."),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Only its owner sees the model.")] = False,
    datasets: Annotated[
        list[str],
        typer.Option("--dataset", metavar="OWNER/NAME", help="Data set on the hub that trained it. Repeatable."),
    ] = [],  # noqa: B006 - typer only reads it
    dry_run: Annotated[
        Path | None,
        typer.Option("--dry-run", metavar="FOLDER", help="Write the files into an empty folder, and send nothing."),
    ] = None,
    plugin: Plugin = [],  # noqa: B006
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Publish a model on the Hugging Face hub: safetensors, JSON, and a card with what its run has measured.

    Look at the files first with --dry-run. They name no photo, no individual and no path. Others use the model by
    siamesekit.from_pretrained, or as hub:OWNER/NAME in place of a run.
    """
    with Shell(debug, quiet=as_json) as shell:
        shell.load_plugins(plugin)
        shell.require([run])
        from siamesekit.artifact.hub_push import push_to_hub

        if not as_json:
            news_only()
        done = push_to_hub(run, repository, license, private, datasets, dry_run)
        if as_json:
            shell.json(dataclasses.asdict(done))
            return
        for name, size in done.files.items():
            shell.say(f"{name}: {file_size(size)}")
        if dry_run is not None:
            shell.say(f"written to {done.address}; nothing was sent")
        else:
            shell.say(f"published, commit {done.commit}: {done.address}")
            shell.say(f"to use it: siamesekit embed hub:{repository} PHOTOS -o embeddings.npz")
