"""The commands for a catalogue as a whole: info, re-embed and move-store."""

from __future__ import annotations

from typing import Annotated

import typer

from siamesekit.cli.arguments import fit_of, ready_or_named
from siamesekit.cli.catalogue.opening import opened, tell
from siamesekit.cli.catalogue.options import (
    Author,
    CatalogueArgument,
    StoreOptions,
)
from siamesekit.cli.command_options import (
    Debug,
    Device,
    DeviceOption,
    FitOption,
    Json,
    Plugin,
    RunArgument,
)
from siamesekit.cli.shell import Shell
from siamesekit.cli.usage import Command

commands = typer.Typer()
"""The commands, beside the others."""


@commands.command(cls=Command, short_help="Show what a catalogue holds.")
def info(path: CatalogueArgument, as_json: Json = False, debug: Debug = False) -> None:
    """Show what a catalogue holds: individuals, photos, its model, the columns that a condition can name."""
    with Shell(debug, quiet=as_json) as shell:
        with opened(path) as catalogue:
            facts = catalogue.info()
        if as_json:
            return shell.json(vars(facts))
        shell.say(f"{facts.individuals} individuals, {facts.photos} photos; {facts.changes} changes")
        if facts.kept:
            shell.say(f"{facts.kept} known photos without an individual: removed, called bad, or open")
        shell.say(f"model {facts.model[:12]}: encoder {facts.encoder}, {facts.dimensions} dimensions")
        shell.say(f"searched in store {facts.store}")
        if facts.columns:
            shell.say(f"columns: {', '.join(facts.columns)}")
    return None


@commands.command("re-embed", cls=Command, short_help="Move a catalogue to another model.")
def re_embed(
    path: CatalogueArgument,
    run: RunArgument,
    fit: FitOption = None,
    author: Author = None,
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compute all embeddings of a catalogue anew with the model of a run; individuals and journal stay."""
    with Shell(debug, quiet=as_json) as shell:
        shell.load_plugins(plugin)
        wanted = fit_of(fit, [run])
        shell.require([run])
        with opened(path, author, device, news=not as_json) as catalogue:
            count = catalogue.re_embed(ready_or_named(run, wanted), shell)
        tell(shell, as_json, f"{count} photos have embeddings of the new model", photos=count)


@commands.command("move-store", cls=Command, short_help="Search a catalogue in another store.")
def move_store(
    path: CatalogueArgument,
    store: Annotated[
        str,
        typer.Option("--store", metavar="NAME", help="The new store: memory-mapped, lancedb, qdrant or a plugin's."),
    ],
    store_option: StoreOptions = [],  # noqa: B006
    author: Author = None,
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Search the embeddings of a catalogue in another store from now on; answers, individuals and journal stay.

    The new store gets a copy of all embeddings, and what the catalogue had in the former one is removed. An interrupted
    move leaves the former store or the new one, and the next change removes what is left of the other.
    """
    with Shell(debug, quiet=as_json) as shell:
        shell.load_plugins(plugin)
        from siamesekit.gallery.store_choice import named_store

        choice = named_store(store, store_option)
        with opened(path, author, device) as catalogue:
            count = catalogue.move_store(choice)
        tell(shell, as_json, f"{count} photos are searched in store {choice} now", store=str(choice), photos=count)
