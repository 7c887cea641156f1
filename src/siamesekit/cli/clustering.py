"""The command that finds individuals among unlabelled photos."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siamesekit.cli.arguments import with_links
from siamesekit.cli.catalogue.options import Reader
from siamesekit.cli.command_options import (
    RUN_HELP,
    DataOptions,
    Debug,
    Device,
    DeviceOption,
    FollowLinks,
    Json,
    Plugin,
    SkipBad,
)
from siamesekit.cli.screen import news_only
from siamesekit.cli.shell import Shell
from siamesekit.cli.skipped import skipped
from siamesekit.cli.usage import Command
from siamesekit.errors import UserError
from siamesekit.wording import line_of_name, with_interval

if TYPE_CHECKING:
    from siamesekit.gallery.discovery import Discovery


commands = typer.Typer()
"""The command, beside the others."""


class MethodName(StrEnum):
    """`--method`."""

    average = "average"
    hdbscan = "hdbscan"


@commands.command(cls=Command, short_help="Find individuals among unlabelled photos.")
def cluster(
    photos: Annotated[
        Path,
        typer.Argument(
            metavar="CATALOGUE_OR_INPUT",
            help="Folder of a catalogue; or, with --model, a folder or a table of photos.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder for the tables.")],
    model: Annotated[
        str | None, typer.Option("--model", metavar="RUN", help=f"If the photos are no catalogue: {RUN_HELP}.")
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Answers: an earlier pairs.csv, its column same filled in.")
    ] = None,
    method: Annotated[
        MethodName, typer.Option(help="Average linkage, or HDBSCAN: pip install 'siamesekit[cluster]'.")
    ] = MethodName.average,
    questions: Annotated[
        int, typer.Option(metavar="N", min=0, max=10_000, help="Most pairs to ask about for the number of individuals.")
    ] = 100,
    where: Annotated[
        str | None,
        typer.Option(metavar="CONDITION", help="Only photos that meet it: \"side = 'left'\"."),
    ] = None,
    reader: Reader = None,
    plugin: Plugin = [],  # noqa: B006 - typer only reads it
    device: DeviceOption = Device.auto,
    skip_bad: SkipBad = False,
    options: DataOptions = [],  # noqa: B006
    follow_links: FollowLinks = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find individuals among photos, and what a person should look at: merges, splits, and pairs to ask about.

    FOLDER gets clusters.csv, suggestions.csv and pairs.csv. Fill in yes or no in the column same of pairs.csv, give it
    back with --answers, and get better clusters and the number of individuals with a confidence interval. A catalogue
    is not changed. Individuals that are named already only measure the clusters.
    """
    with Shell(debug, quiet=as_json) as shell:
        shell.load_plugins(plugin)
        shell.require([] if model is None else [model], photos, *([answers] if answers else []))
        from siamesekit.gallery.cluster_folder import check_cluster_folder, facts_of, write_discovery

        check_cluster_folder(output, answers)
        if not as_json:
            news_only()
        from siamesekit.gallery.catalogue import Catalogue
        from siamesekit.gallery.discovering import cluster_records
        from siamesekit.gallery.season import season
        from siamesekit.gallery.storage import DATABASE

        left_out: list[dict[str, str]] = []
        if (photos / DATABASE).is_file():
            _refuse(photos, "is a catalogue, which has its model and its photos", model=model, reader=reader)
            with Catalogue(photos, device.value) as catalogue:
                found = catalogue.cluster(method.value, where, answers or (), questions)
        elif model is None:
            raise UserError(
                f"{line_of_name(str(photos))} is no catalogue, so a model is needed: siamesekit cluster "
                f"{line_of_name(str(photos))} --model RUN -o {line_of_name(str(output))}"
            )
        else:
            _refuse(photos, "is no catalogue, so its photos have no conditions", where=where)
            records = season(photos, reader, with_links(options, follow_links), skip_bad)
            for note in records.notes:
                shell.say(note)
            found, bad = cluster_records(model, records, method.value, answers or (), questions, device.value, shell)
            findings = (*records.left_out, *bad)
            left_out = skipped(shell, findings, len(records) + len(records.left_out), skip_bad)
        write_discovery(output, found)
        if as_json:
            return shell.json({**facts_of(found), "left_out": left_out})
        _tell(shell, found, output)
    return None


def _refuse(photos: Path, reason: str, **options: object) -> None:
    """Refuse options that do not go with the photos.

    Raises:
        UserError: one is given.
    """
    for name, value in options.items():
        if value is not None:
            raise UserError(f"{line_of_name(str(photos))} {reason}: leave out --{name}")


def _tell(shell: Shell, found: Discovery, output: Path) -> None:
    """Report the clusters, what they are worth, the number of individuals, and what to do next."""
    shell.say(f"{len(found.photos)} photos in {found.clusters.max()} clusters")
    if found.found is not None:
        shell.say(
            f"{with_interval(found.found._asdict(), '.0f')} clusters have the photos of {found.labelled} labelled "
            "individuals"
        )
    if found.rand_index is not None:
        shell.say(f"adjusted Rand index {with_interval(found.rand_index._asdict())}: 1 if clusters and labels agree")
    count = found.count
    if count is not None:
        shell.say(
            f"{count.value:.0f} individuals ({count.low:.0f}–{count.high:.0f}, {count.confidence:.0%} interval) from "
            f"{count.pairs} answered pairs"
        )
    shell.say(f"suggestions: {len(found.merges)} merges, {len(found.splits)} splits: {output / 'suggestions.csv'}")
    asked = found.asked
    if asked:
        first, other = (found.photos[photo] for photo in asked[0].photos)
        shell.say(f"next question: do {first} and {other} show one individual?")
        file = output / "pairs.csv"
        shell.say(f"{len(asked)} questions: fill in yes or no in {file}, then add --answers {file}")
    for note in found.notes:
        shell.say(note)
