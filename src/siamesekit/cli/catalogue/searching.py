"""The command that finds the individual on a photo: search."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from siamesekit.cli.catalogue.opening import opened
from siamesekit.cli.catalogue.options import (
    Alpha,
    By,
    Candidates,
    CatalogueArgument,
    ExpandBy,
    FalseKnown,
    LookAt,
    MatcherName,
    RerankName,
    Where,
    refinement_asked,
    scoring,
    second_look,
)
from siamesekit.cli.command_options import (
    Debug,
    Device,
    DeviceOption,
    FollowLinks,
    Json,
    MatcherOptions,
    Plugin,
    SkipBad,
)
from siamesekit.cli.shell import Shell
from siamesekit.cli.skipped import skipped
from siamesekit.cli.usage import Command

commands = typer.Typer()
"""The commands, beside the others."""


@commands.command(cls=Command, short_help="Find the individual on a photo.")
def search(
    path: CatalogueArgument,
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos, or folders of photos.")],
    count: Candidates = None,
    where: Where = None,
    by: By = "nearest",
    matcher: MatcherName = None,
    matcher_option: MatcherOptions = [],  # noqa: B006
    look_at: LookAt = 12,
    rerank: RerankName = None,
    expand: ExpandBy = None,
    alpha: Alpha = 3.0,
    false_known: FalseKnown = None,
    together: Annotated[bool, typer.Option("--together", help="All photos show one individual: one answer.")] = False,
    table: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the answers to this table.")
    ] = None,
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    skip_bad: SkipBad = False,
    follow_links: FollowLinks = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find the individuals of a catalogue that are most like the one on a photo.

    If photos cannot be used, the others are answered, and it is an error; not with --skip-bad. Each candidate has a
    probability, and so has "new individual", if the catalogue has at least ten individuals; they count a new
    individual in half of all photos. Otherwise candidates have a similarity: the probability that two photos at this
    distance show one individual, if same and different pairs were equally frequent. --false-known 0.05 promises that of
    the photos of new individuals at most 5 % are called known. It needs 1 / SHARE - 1 individuals that did not train
    the network, here 19, and is refused with fewer.
    """
    with Shell(debug, quiet=as_json) as shell:
        from siamesekit.artifact.embedding_files import records_of_inputs
        from siamesekit.data.records import Record
        from siamesekit.gallery.answer_table import check_table, write_answers

        if table is not None:
            check_table(table)
        found = records_of_inputs(photos, follow_links, skip_bad=True)
        files = [Path(record.name) for record in found]
        shell.load_plugins(plugin)
        from siamesekit.gallery.promise import with_promise
        from siamesekit.gallery.search_options import SearchOptions
        from siamesekit.gallery.shared_points import sightings

        refinement = refinement_asked(rerank, expand, alpha)
        look = second_look(matcher, look_at, matcher_option)
        options = SearchOptions(count, where, scoring(by), look, refinement, false_known)
        with opened(path, device=device, news=table is not None and not as_json) as catalogue:
            catalogue.require_search(options, shell, len(files) if together else 1)
            with catalogue.same_model() as model:
                embedded = model.embed_usable(files, shell)
                findings, asked = (*found.left_out, *embedded.left_out), len(files) + len(found.left_out)
                names = [str(files[number]) for number in embedded.kept]
                kept = [Record(str(files[n]), "", files[n]) for n in embedded.kept]
                seen = sightings(kept) if options.second_look else []
                answers = catalogue.search_embeddings(names, embedded.embeddings, options, together, seen)
            number = len(names) if together else 1
            note = catalogue.identification(options.scoring, number, options.second_look, refinement).note
            note = with_promise(note, false_known)
        for line in found.notes:
            shell.say(line)
        if table is not None:
            write_answers(table, [(answer.query, answer) for answer in answers])
        if as_json:
            told = [asdict(each) for each in answers]
            shell.json({"answers": told, "left_out": [each._asdict() for each in findings], "note": note})
        else:
            from siamesekit.cli.rich_tables import answer_table

            for answer in answers:
                shell.out.print(answer_table(answer))
            shell.say(note)
        skipped(shell, findings, asked, skip_bad)
