"""The commands that exchange photos and individuals with other programs: convert and fill-in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from siamesekit.cli.arguments import with_links
from siamesekit.cli.catalogue.opening import tell
from siamesekit.cli.catalogue.options import Reader
from siamesekit.cli.command_options import DataOptions, Debug, FollowLinks, Json, Plugin, SkipBad
from siamesekit.cli.screen import news_only
from siamesekit.cli.shell import Shell
from siamesekit.cli.skipped import skipped
from siamesekit.cli.usage import Command

commands = typer.Typer()
"""The commands, beside the others."""


@commands.command(cls=Command, short_help="Write photos and individuals in another program's format.")
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Folder of a catalogue or of a match, table of decisions, or a folder or table of photos.",
        ),
    ],
    form: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="camtrap-dp (a folder), wildlife, coco or wildbook (a file).")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUTPUT", help="File or folder to write; nothing is replaced.")
    ],
    facts: Annotated[
        list[str],
        typer.Option(
            "--fact",
            metavar="NAME=TEXT",
            help="What is true of all photos that do not say it: date, species, latitude, timezone, … Repeatable.",
        ),
    ] = [],  # noqa: B006 - typer only reads it
    base: Annotated[
        Path | None,
        typer.Option(
            "--photos",
            metavar="FOLDER",
            help="Folder at which the written paths begin. Default: the deepest one that has all photos.",
        ),
    ] = None,
    reader: Reader = None,
    plugin: Plugin = [],  # noqa: B006
    skip_bad: SkipBad = False,
    options: DataOptions = [],  # noqa: B006
    follow_links: FollowLinks = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write photos and individuals in a format that other programs read; SOURCE stays as it is.

    Photos are not copied: paths lead to where they are. What the format cannot hold, and what had to be assumed, is
    listed. Of a match that nobody has confirmed, individuals are written as classified by a machine.
    """
    with Shell(debug, quiet=as_json) as shell:
        shell.require_files(source)
        shell.load_plugins(plugin)
        from siamesekit.gallery.exchange.converting import convert as convert_photos
        from siamesekit.gallery.exchange.converting import wanted
        from siamesekit.gallery.exchange.sources import source_of

        asked = wanted(form, output, facts, base)
        if not as_json:
            news_only()
        found = source_of(source, reader, with_links(options, follow_links), skip_bad)
        photos = len(found.observations) + len(found.left_out)
        left_out = skipped(shell, found.left_out, photos, skip_bad)
        done = convert_photos(found, asked, skip_bad)
        if as_json:
            return shell.json({**vars(done), "left_out": left_out})
        shell.say(f"{done.photos} photos of {done.individuals} individuals: {', '.join(done.files)}")
        for note in done.notes:
            shell.say(note)
    return None


@commands.command("fill-in", cls=Command, short_help="Fill in the individuals of a camera-trap data package.")
def fill_in(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Folder of a catalogue, or a table of decisions.")],
    package: Annotated[
        Path, typer.Argument(metavar="PACKAGE", help="Folder of a camera-trap data package (Camtrap DP).")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Table to write, in place of observations.csv.")
    ],
    options: DataOptions = [],  # noqa: B006
    follow_links: FollowLinks = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the observations of a Camtrap DP package with individualID filled in; all else stays, byte by byte.

    Photos are known by their content and boxes, so give the same --set data.… as when they were enrolled or matched.
    Only individuals that a person has confirmed are filled in, and only into empty cells.
    """
    with Shell(debug, quiet=as_json) as shell:
        shell.require_files(source, package)
        from siamesekit.gallery.exchange.filling_in import check_filled
        from siamesekit.gallery.exchange.filling_in import fill_in as fill

        check_filled(output)
        done = fill(source, package, output, with_links(options, follow_links), shell)
        text = f"{done.filled} individuals filled in, {done.there} were there, {done.open} are still open: {output}"
        tell(shell, as_json, text, **vars(done))
        for note in done.notes:
            shell.say(note)
