"""Arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from siamesekit.cli.completion import keys


class Device(StrEnum):
    """`--device`."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class PrecisionName(StrEnum):
    """`--precision`."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


class FitName(StrEnum):
    """`--fit`."""

    squash = "squash"
    pad = "pad"
    crop = "crop"
    own = "own"


ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="Config of the run, a TOML file.")]
RUN_HELP = "Folder of a run, or its folder model/; or hub:OWNER/NAME; or a ready model, such as timm/resnet50"
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help=f"{RUN_HELP}.")]
FitOption = Annotated[
    FitName | None,
    typer.Option(
        "--fit",
        help="For a ready model: how photos are made square; own is as its weights were judged. Default: squash.",
    ),
]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="TABLE.KEY=VALUE", help="Override a key of the config. Repeatable.", autocompletion=keys
    ),
]
DeviceOption = Annotated[Device, typer.Option("--device", help="Device to compute on.")]
PrecisionOption = Annotated[PrecisionName, typer.Option("--precision", help="Number format of the encoder.")]
Plugin = Annotated[
    list[Path], typer.Option("--plugin", metavar="FILE", help="Load this plugin file first; its code runs.")
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out photos that are missing or cannot be used.")]
FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Follow links that lead out of the folder of photos.")
]
DataOptions = Annotated[
    list[str], typer.Option("--set", metavar="data.KEY=VALUE", help="Set an option of the reader. Repeatable.")
]
Views = Annotated[
    str | None,
    typer.Option(
        "--tta",
        metavar="VIEWS",
        help="Mean over views of each photo: mirror, crops, mirror,crops or none. Default: as the model was evaluated.",
    ),
]
With = Annotated[
    list[str],
    typer.Option("--with", metavar="RUN", help="Another model whose embeddings are joined to the first's. Repeatable."),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--with-weights",
        metavar="NUMBERS",
        help="With --with: the weight of each model, the first's first, such as 1,0.5. Default: equal weights.",
    ),
]
MatcherOptions = Annotated[
    list[str],
    typer.Option(
        "--matcher-option",
        metavar="OPTION=VALUE",
        help="With --matcher: an option of the matcher, such as ratio=0.8. Repeatable.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print only JSON to stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Print a traceback with an error.")]
