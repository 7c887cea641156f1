"""The command that gives a model a threshold, measured on one's own photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from siamesekit.cli.arguments import fit_of, with_links
from siamesekit.cli.catalogue.options import Reader
from siamesekit.cli.command_options import (
    DataOptions,
    Debug,
    Device,
    DeviceOption,
    FitOption,
    FollowLinks,
    Json,
    Plugin,
    RunArgument,
    SkipBad,
)
from siamesekit.cli.screen import news_only
from siamesekit.cli.shell import Shell
from siamesekit.cli.usage import Command

commands = typer.Typer()
"""The command, beside the others."""


@commands.command(cls=Command, short_help="Give a model a threshold, measured on your photos.")
def calibrate(
    run: RunArgument,
    data: Annotated[
        Path,
        typer.Option(
            metavar="PATH", help="Photos of known individuals: a folder PATH/INDIVIDUAL/photo.jpg, or a table."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the new model; created, or empty.")
    ],
    fit: FitOption = None,
    reader: Reader = None,
    options: DataOptions = [],  # noqa: B006 - typer only reads it
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    skip_bad: SkipBad = False,
    follow_links: FollowLinks = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure a model on photos of known individuals, and save it with the threshold that follows; nothing is trained.

    FOLDER is then a model like that of a run: compare with it gives similarities and verdicts. The individuals must be
    others than those that trained the model. --set evaluation.false_accept_rate=0.01 sets the threshold for that rate.
    """
    with Shell(debug, quiet=as_json) as shell:
        shell.load_plugins(plugin)
        wanted = fit_of(fit, [run])
        shell.require([run], data)
        from siamesekit.artifact.named_model import load
        from siamesekit.artifact.verdict_worth import worth_of_verdict
        from siamesekit.experiment.calibrating import calibrate as calibrated
        from siamesekit.experiment.evaluating import evaluation_config
        from siamesekit.files.replaceable import refuse_full_folder
        from siamesekit.wording import apart

        refuse_full_folder(output)
        if not as_json:
            news_only()
        model = load(run, device.value, fit=wanted)
        config = evaluation_config(model, data, reader, with_links(options, follow_links))
        found = calibrated(model, config, output, shell, skip_bad)
        point = found["threshold"]
        if as_json:
            shell.json({"model": str(output), "photos": found["photos"], "notes": found["notes"], **point})
            return
        measured = f"{found['photos']} photos of {found['individuals']} individuals"
        shell.say(f"threshold {apart(point['threshold'])[0]}, from {measured}")
        shell.say(str(worth_of_verdict({"operating_point": point})))
        for note in found["notes"]:
            shell.warn(note)
        shell.say(f"a model with this threshold: {output}")
