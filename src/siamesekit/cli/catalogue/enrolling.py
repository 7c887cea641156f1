"""The commands that put photos into a catalogue: enrol and add."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siamesekit.cli.arguments import fit_of, ready_or_named, with_links
from siamesekit.cli.catalogue.opening import opened
from siamesekit.cli.catalogue.options import (
    Author,
    CatalogueArgument,
    InputArgument,
    Reader,
    StoreName,
    StoreOptions,
)
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
from siamesekit.cli.skipped import skipped
from siamesekit.cli.usage import Command
from siamesekit.errors import UserError
from siamesekit.wording import line_of_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamesekit.data.records import Records
    from siamesekit.gallery.adding import Added

commands = typer.Typer()
"""The commands, beside the others."""


@commands.command(cls=Command, short_help="Make a catalogue of known individuals.")
def enrol(
    run: RunArgument,
    photos: InputArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="CATALOGUE", help="Folder of the catalogue; it is created.")
    ],
    fit: FitOption = None,
    reader: Reader = None,
    store: StoreName = "memory-mapped",
    store_option: StoreOptions = [],  # noqa: B006 - typer only reads it
    author: Author = None,
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    skip_bad: SkipBad = False,
    options: DataOptions = [],  # noqa: B006
    follow_links: FollowLinks = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a catalogue of known individuals for a run's model, and add photos to it.

    The catalogue has a copy of the model, the embeddings and thumbnails; the photos stay where they are.
    """
    with Shell(debug, quiet=as_json) as shell:
        shell.load_plugins(plugin)
        wanted = fit_of(fit, [run])
        shell.require([run], photos)
        from siamesekit.gallery.catalogue import enrol as enrol_photos
        from siamesekit.gallery.store_choice import named_store

        where = named_store(store, store_option)
        if not as_json:
            news_only()
        found = _input(shell, photos, reader, with_links(options, follow_links), skip_bad)
        model = ready_or_named(run, wanted)
        catalogue, added = enrol_photos(model, found, output, shell, skip_bad, device.value, author, where)
        if note := catalogue.model.description.get("preprocessing_note"):
            shell.say(note)
        catalogue.close()
        _tell_added(shell, added, found, output, as_json)


@commands.command(cls=Command, short_help="Add photos to a catalogue.")
def add(
    path: CatalogueArgument,
    photos: InputArgument,
    reader: Reader = None,
    author: Author = None,
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    skip_bad: SkipBad = False,
    options: DataOptions = [],  # noqa: B006
    follow_links: FollowLinks = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Add photos with their individuals to a catalogue. Photos that it has already are left as they are."""
    with Shell(debug, quiet=as_json) as shell:
        shell.require_files(photos)
        shell.load_plugins(plugin)
        with opened(path, author, device, news=not as_json) as catalogue:
            found = _input(shell, photos, reader, with_links(options, follow_links), skip_bad)
            if isinstance(found, Path):
                added = catalogue.add_embeddings(found, shell)
            else:
                added = catalogue.add(found, shell, skip_bad)
            _tell_added(shell, added, found, path, as_json)


def _input(shell: Shell, photos: Path, reader: str | None, options: Sequence[str], skip_bad: bool) -> Records | Path:
    """The records of a folder or table, by a reader, which may have something to say; or a file of embeddings."""
    from siamesekit.artifact.embedding_reading import holds_embeddings

    if reader is None and holds_embeddings(photos):
        if options:
            raise UserError(f"{line_of_name(str(photos))} is a file of embeddings, for which there are no such options")
        return photos
    from siamesekit.gallery.season import read

    records = read(photos, reader, options, skip_bad)
    for note in records.notes:
        shell.say(note)
    return records


def _tell_added(shell: Shell, added: Added, records: Records | Path, path: Path, as_json: bool) -> None:
    """Report what was added, and all that was left out."""
    left_out = []
    if not isinstance(records, Path):
        findings = (*records.left_out, *added.unusable)
        left_out = skipped(shell, findings, len(records) + len(records.left_out), skip_bad=True)
    if as_json:
        return shell.json({**vars(added), "unusable": left_out})
    shell.say(f"{added.photos} photos added, {added.individuals} new individuals: {path}")
    reasons = (
        (added.enrolled, "were there already"),
        (added.copies, "are copies of others in the input"),
        (added.unnamed, "have no individual and are left out"),
    )
    for count, reason in reasons:
        if count:
            shell.say(f"{count} photos {reason}")
    return None
