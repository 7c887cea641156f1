"""The commands that correct who is who in a catalogue: remove, rename, merge, split, undo and log."""

from __future__ import annotations

from typing import Annotated

import typer

from siamesekit.cli.catalogue.opening import opened, tell
from siamesekit.cli.catalogue.options import (
    Author,
    CatalogueArgument,
)
from siamesekit.cli.command_options import (
    Debug,
    Json,
)
from siamesekit.cli.shell import Shell
from siamesekit.cli.usage import Command

commands = typer.Typer()
"""The commands, beside the others."""


@commands.command(cls=Command, short_help="Remove individuals or photos from a catalogue.")
def remove(
    path: CatalogueArgument,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Individuals, or names or paths of photos.")],
    author: Author = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Remove individuals with their photos, or single photos, from a catalogue. The photo files stay."""
    with Shell(debug, quiet=as_json) as shell:
        with opened(path, author) as catalogue:
            count = catalogue.remove(names)
        tell(shell, as_json, f"{count} photos removed", photos=count)


@commands.command(cls=Command, short_help="Rename an individual of a catalogue.")
def rename(
    path: CatalogueArgument,
    old: Annotated[str, typer.Argument(metavar="OLD", help="Name of the individual.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    author: Author = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Rename an individual of a catalogue."""
    with Shell(debug, quiet=as_json) as shell:
        with opened(path, author) as catalogue:
            catalogue.rename(old, new)
        tell(shell, as_json, f"{old} is now {new}", old=old, new=new)


@commands.command(cls=Command, short_help="Join two individuals that are one animal.")
def merge(
    path: CatalogueArgument,
    kept: Annotated[str, typer.Argument(metavar="A", help="The individual that is kept.")],
    other: Annotated[str, typer.Argument(metavar="B", help="The individual whose photos it gets.")],
    author: Author = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Give the photos of individual B to individual A, because both are one animal."""
    with Shell(debug, quiet=as_json) as shell:
        with opened(path, author) as catalogue:
            count = catalogue.merge(kept, other)
        tell(shell, as_json, f"{kept} has the {count} photos of {other} now", kept=kept, photos=count)


@commands.command(cls=Command, short_help="Give photos to another individual.")
def split(
    path: CatalogueArgument,
    individual: Annotated[str, typer.Argument(metavar="NAME", help="The individual that gets them; it may be new.")],
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO...", help="Names or paths of photos of the catalogue.")],
    author: Author = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Give photos of a catalogue to another individual, because they show another animal."""
    with Shell(debug, quiet=as_json) as shell:
        with opened(path, author) as catalogue:
            count = catalogue.split(individual, photos)
        tell(shell, as_json, f"{individual} has {count} more photos now", individual=individual, photos=count)


@commands.command(cls=Command, short_help="Undo the last change of a catalogue.")
def undo(path: CatalogueArgument, author: Author = None, as_json: Json = False, debug: Debug = False) -> None:
    """Undo the last change of a catalogue that is not undone yet. Repeat it for earlier ones."""
    with Shell(debug, quiet=as_json) as shell:
        with opened(path, author) as catalogue:
            change = catalogue.undo()
        tell(shell, as_json, f"undone: change {change.id}, {change.command}: {change.summary}", **vars(change))


@commands.command(cls=Command, short_help="Show the changes of a catalogue.")
def log(
    path: CatalogueArgument,
    most: Annotated[int | None, typer.Option("-n", metavar="N", min=1, help="Only the last N changes.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show who changed what in a catalogue, the last change first."""
    with Shell(debug, quiet=as_json) as shell:
        with opened(path) as catalogue:
            changes = catalogue.log(most)
        if as_json:
            return shell.json([vars(change) for change in changes])
        for change in changes:
            undone = " (undone)" if change.undone else ""
            shell.say(f"{change.id}  {change.date}  {change.author}  {change.command}: {change.summary}{undone}")
    return None
