"""The command that finds the individual on a photo: search."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from siamesekit.cli.shell import JsonItems, Shell
from siamesekit.cli.skipped import skipped
from siamesekit.cli.usage import Command
from siamesekit.errors import UserError
from siamesekit.wording import line_of_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siamesekit.gallery.search import Answer

commands = typer.Typer()
"""The commands, beside the others."""


@commands.command(cls=Command, short_help="Find the individual on a photo.")
def search(
    path: CatalogueArgument,
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO...", help="Photos, folders of photos, or a file of embeddings.")
    ],
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
        from siamesekit.artifact.embedding_reading import holds_embeddings, number_of_rows
        from siamesekit.data.records import Records
        from siamesekit.gallery.answer_table import check_table, write_answers

        if table is not None:
            check_table(table)
        file = photos[0] if len(photos) == 1 and holds_embeddings(photos[0]) else None
        found = Records([]) if file else records_of_inputs(photos, follow_links, skip_bad=True)
        files = [Path(record.name) for record in found]
        shell.load_plugins(plugin)
        from siamesekit.gallery.asked_photos import AskedPhotos
        from siamesekit.gallery.promise import with_promise
        from siamesekit.gallery.search_options import SearchOptions

        refinement = refinement_asked(rerank, expand, alpha)
        look = second_look(matcher, look_at, matcher_option)
        if file and look is not None:
            raise UserError(f"--matcher looks at photos, and {line_of_name(str(file))} has only their embeddings")
        options = SearchOptions(count, where, scoring(by), look, refinement, false_known)
        source = AskedPhotos(file or files, look is not None)
        with opened(path, device=device, news=table is not None and not as_json) as catalogue:
            number = (number_of_rows(file) if file else len(files)) if together else 1
            catalogue.require_search(options, shell, number)
            for line in found.notes:
                shell.say(line)
            shown = Shown(shell, as_json, quiet=file is not None and table is not None)

            def answered() -> Iterator[tuple[str, Answer]]:
                with catalogue.same_model():
                    for asked in source.embedded(catalogue, shell, together):
                        for answer in catalogue.search_embeddings(*asked.of, options, together, asked.photos):
                            shown.show(answer)
                            yield answer.query, answer

            searched = sum(1 for _ in answered()) if table is None else write_answers(table, answered())
            number = number - len(source.unusable) if together else 1
            note = catalogue.identification(options.scoring, number, options.second_look, refinement).note
            note = with_promise(note, false_known)
        findings, asked = (*found.left_out, *source.unusable), len(files) + len(found.left_out)
        if as_json:
            left_out = [each._asdict() for each in findings]
            rest = {"left_out": left_out, "note": note, "enrolled": source.enrolled}
            shell.json_of("answers", shown.told, rest)
        elif shown.quiet:
            shell.say(f"{searched:,} answers: {table}")
        if not as_json:
            if source.enrolled:
                shell.say(_of_enrolled(source.enrolled))
            shell.say(note)
        skipped(shell, findings, asked, skip_bad)


def _of_enrolled(enrolled: dict[str, str]) -> str:
    """What an answer for a photo of the catalogue itself is worth."""
    photo, individual = next(iter(enrolled.items()))
    first = f"{line_of_name(photo)} is in the catalogue itself, as a photo of {line_of_name(individual)}"
    more = "" if len(enrolled) == 1 else f", and so are {len(enrolled) - 1:,} more photos that were searched"
    return f"{first}{more}; the figures of an answer are meant for photos that the catalogue does not have"


@dataclass
class Shown:
    """The answers of a search on the screen, as they come, or kept on the disk for JSON.

    Attributes:
        shell: where they are printed.
        as_json: whether they are kept.
        quiet: whether they are neither printed nor kept.
        told: the answers that are kept.
    """

    shell: Shell
    as_json: bool
    quiet: bool
    told: JsonItems = field(default_factory=JsonItems)

    def show(self, answer: Answer) -> None:
        """Print an answer, or keep it."""
        if self.as_json:
            self.told.add(asdict(answer))
        elif not self.quiet:
            from siamesekit.cli.rich_tables import answer_table

            self.shell.out.print(answer_table(answer))
