"""The command that measures how well a catalogue finds its own individuals: report."""

from __future__ import annotations

from typing import Annotated

import typer

from siamesekit.cli.catalogue.opening import opened
from siamesekit.cli.catalogue.options import (
    Alpha,
    By,
    CatalogueArgument,
    Encounter,
    ExpandBy,
    LookAt,
    MatcherName,
    RerankName,
    refinement_asked,
    scoring,
    second_look,
)
from siamesekit.cli.command_options import (
    Debug,
    Device,
    DeviceOption,
    Json,
    MatcherOptions,
    Plugin,
)
from siamesekit.cli.shell import Shell
from siamesekit.cli.usage import Command

commands = typer.Typer()
"""The commands, beside the others."""


@commands.command(cls=Command, short_help="Measure how well a catalogue finds its own individuals.")
def report(
    path: CatalogueArgument,
    encounter: Encounter = None,
    by: By = "nearest",
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Add: each photo together with its mirror image; the photos are read.")
    ] = False,
    matcher: MatcherName = None,
    matcher_option: MatcherOptions = [],  # noqa: B006
    look_at: LookAt = 12,
    rerank: RerankName = None,
    expand: ExpandBy = None,
    alpha: Alpha = 3.0,
    false_known: Annotated[
        float | None,
        typer.Option(
            "--false-known",
            metavar="SHARE",
            help="Add: what it costs that at most this share of the photos of new individuals is called known.",
        ),
    ] = None,
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure how well a catalogue finds its own individuals, and notices new ones; nothing is changed.

    Five times, a fifth of the individuals is left out as new, half of each other one's photos are held out, and all of
    these are searched for among the rest. --mirror, --matcher, and --rerank with --expand add a row of figures each; a
    matcher with re-ranking or expansion adds one more. Only individuals that did not train the network are searched
    for, if there are ten. --false-known 0.05 adds the figures at the verdicts of search --false-known 0.05, and needs
    19 individuals beside those that are left out as new.
    """
    with Shell(debug, quiet=as_json) as shell:
        shell.load_plugins(plugin)
        look = second_look(matcher, look_at, matcher_option)
        refinement = refinement_asked(rerank, expand, alpha)
        chosen = (None, None) if refinement is None else (refinement.rerank, refinement.expand)
        with opened(path, device=device) as catalogue:
            found = catalogue.report(look, *chosen, mirror, scoring(by), encounter, shell, false_known)
        if as_json:
            return shell.json(found.as_json())
        from siamesekit.cli.rich_tables import report_table
        from siamesekit.wording import with_interval

        shell.out.print(report_table(found))
        if found.rand_index is not None:
            shell.say(f"clusters: adjusted Rand index {with_interval(found.rand_index._asdict())}; 1 is perfect")
        for way in found.ways:
            if found.false_known is not None and way.promised_baks is not None and way.promised_baus is not None:
                named, new = (with_interval(each._asdict()) for each in (way.promised_baks, way.promised_baus))
                shell.say(
                    f"{way.name}: with at most {100 * found.false_known:.3g} % of the photos of new individuals called "
                    f"known, {named} of those of known ones are called known and named right (BAKS), and {new} of "
                    "those of new ones are called maybe new (BAUS)"
                )
        for note in found.notes:
            shell.say(note)
    return None
