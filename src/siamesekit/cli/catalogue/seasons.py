"""The commands for the photos of a season: match, review and decide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siamesekit.cli.arguments import with_links
from siamesekit.cli.catalogue.opening import opened, tell
from siamesekit.cli.catalogue.options import (
    Alpha,
    Author,
    By,
    Candidates,
    CatalogueArgument,
    Encounter,
    ExpandBy,
    FalseKnown,
    LookAt,
    MatcherName,
    OpenArgument,
    Reader,
    RerankName,
    SeasonArgument,
    Where,
    refinement_asked,
    scoring,
    second_look,
)
from siamesekit.cli.command_options import (
    DataOptions,
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
from siamesekit.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamesekit.data.records import Records
    from siamesekit.data.unusable import UnusablePhoto
    from siamesekit.gallery.last_season import LastSeason
    from siamesekit.gallery.matching import Matches

commands = typer.Typer()
"""The commands, beside the others."""


@commands.command(cls=Command, short_help="Match the photos of a season with a catalogue.")
def match(
    path: CatalogueArgument,
    photos: SeasonArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder for the table and the page.")
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
    encounter: Encounter = None,
    reader: Reader = None,
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    skip_bad: SkipBad = False,
    options: DataOptions = [],  # noqa: B006
    follow_links: FollowLinks = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find the candidates for each photo of a season, and write a page on which a person decides.

    FOLDER gets matches.csv and index.html, which needs no server: open it in a browser, decide, save the decisions, and
    give them to "siamesekit decide". The catalogue is not changed; it remembers where the photos are, for "siamesekit
    review". Photos that it has already are left out. Photos that cannot be used are an error, or are left out with
    --skip-bad.
    """
    with Shell(debug, quiet=as_json) as shell:
        shell.require_files(photos)
        shell.load_plugins(plugin)
        from siamesekit.gallery.last_season import LastSeason
        from siamesekit.gallery.match_folder import check_folder, write_match
        from siamesekit.gallery.matching import match as match_season
        from siamesekit.gallery.search_options import SearchOptions
        from siamesekit.gallery.season import season

        check_folder(output)
        look, refinement = second_look(matcher, look_at, matcher_option), refinement_asked(rerank, expand, alpha)
        searched = SearchOptions(count, where, scoring(by), look, refinement, false_known)
        reading = tuple(with_links(options, follow_links))
        with opened(path, device=device, news=not as_json) as catalogue:
            records = season(photos, reader, reading, skip_bad)
            found = match_season(catalogue, records, searched, encounter, shell)
            left_out = _skipped(shell, records, found.unusable, skip_bad)
            page = write_match(output, catalogue, found, shell)
            _remember(shell, path, LastSeason(str(photos.absolute()), reader, reading, encounter))
        facts = {"queries": len(found.queries), "enrolled": found.enrolled, "bad": found.bad, "copies": found.copies}
        if false_known is not None:
            facts |= {"known": found.called("known"), "maybe_new": found.called("maybe new")}
        if as_json:
            return shell.json({**facts, "page": str(page), "left_out": left_out, "note": found.note})
        _tell_matched(shell, found)
        shell.say(f"open {page} in a browser")
    return None


@commands.command(cls=Command, short_help="Match a season, and write decisions into the catalogue at once.")
def review(
    path: CatalogueArgument,
    photos: OpenArgument = None,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0: any that is free.")] = 0,
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
    encounter: Encounter = None,
    reader: Reader = None,
    author: Author = None,
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    skip_bad: SkipBad = False,
    options: DataOptions = [],  # noqa: B006
    follow_links: FollowLinks = False,
    debug: Debug = False,
) -> None:
    """Serve the page of a match to this machine only, and write each decision into the catalogue at once.

    Without INPUT, it goes on with the photos that were matched or reviewed last; those that are decided are left out.
    Open the address that is printed in a browser; several reviewers may use it. Ctrl-C ends the review. It needs: pip
    install 'siamesekit[serve]'.
    """
    with Shell(debug, quiet=False) as shell:
        asked = _season(shell, path, photos, reader, with_links(options, follow_links), encounter)
        shell.load_plugins(plugin)
        from siamesekit.gallery.matching import match as match_season
        from siamesekit.gallery.review_server import require_server, review_season
        from siamesekit.gallery.search_options import SearchOptions
        from siamesekit.gallery.season import season

        require_server()
        look, refinement = second_look(matcher, look_at, matcher_option), refinement_asked(rerank, expand, alpha)
        searched = SearchOptions(count, where, scoring(by), look, refinement, false_known)
        with opened(path, author, device, news=True) as catalogue:
            records = season(Path(asked.photos), asked.reader, asked.options, skip_bad)
            found = match_season(catalogue, records, searched, asked.encounter, shell)
            _skipped(shell, records, found.unusable, skip_bad)
            _remember(shell, path, asked)
            _tell_matched(shell, found)
            review_season(catalogue, found, port, shell)


@commands.command(cls=Command, short_help="Enrol what a person has decided.")
def decide(
    path: CatalogueArgument,
    decisions: Annotated[
        Path, typer.Argument(metavar="DECISIONS", help="Table of decisions that the page of a match has saved.")
    ],
    author: Author = None,
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Enrol the photos of a match as a person has decided, all or none; what was decided is kept in the journal.

    Decisions that contradict each other or the catalogue are refused with their lines. A table can be given again:
    decisions that have been applied are left.
    """
    with Shell(debug, quiet=as_json) as shell:
        shell.require_files(decisions)
        shell.load_plugins(plugin)
        with opened(path, author, device, news=not as_json) as catalogue:
            done = catalogue.decide(decisions, shell)
        text = (
            f"{done.same} photos given to known individuals, {done.new} to {done.individuals} new ones; "
            f"{done.unsure} unsure, {done.bad} bad"
        )
        tell(shell, as_json, f"{text}; {done.there} applied before" if done.there else text, **vars(done))


def _season(
    shell: Shell, path: Path, photos: Path | None, reader: str | None, options: Sequence[str], encounter: str | None
) -> LastSeason:
    """What is reviewed: the photos that are named, else those that were matched last."""
    from siamesekit.gallery.last_season import LastSeason, recall

    if photos is not None:
        shell.require_files(photos)
        return LastSeason(str(photos.absolute()), reader, tuple(options), encounter)
    if reader is not None or options:
        raise UserError("--reader, --set and --follow-links belong to an INPUT: name it")
    with opened(path):  # whether it is a catalogue
        last = recall(path)
    if last is None:
        raise UserError(f"{path}: no photos have been matched with it: name them, siamesekit review {path} INPUT")
    if not Path(last.photos).exists():
        raise UserError(f"the photos that were matched last are gone: {last.photos}; name others")
    shell.say(f"photos that were matched last: {last.photos}")
    return last if encounter is None else replace(last, encounter=encounter)


def _remember(shell: Shell, path: Path, season: LastSeason) -> None:
    """Keep which photos were matched; a catalogue that cannot be written to is only told of."""
    from siamesekit.gallery.last_season import remember

    if (problem := remember(path, season)) is not None:
        shell.warn(problem)


def _skipped(shell: Shell, records: Records, unusable: Sequence[UnusablePhoto], skip_bad: bool) -> list[dict[str, str]]:
    """Report photos that cannot be used, and what the reader of the others has to say."""
    for note in records.notes:
        shell.say(note)
    return skipped(shell, (*records.left_out, *unusable), len(records) + len(records.left_out), skip_bad)


def _tell_matched(shell: Shell, found: Matches) -> None:
    """Report what was matched, all that was left out, and what the probabilities are worth."""
    shell.say(f"{len(found.queries)} queries matched")
    known, new = found.called("known"), found.called("maybe new")
    if known or new:
        shell.say(f"{known} called known, {new} called maybe new")
    reasons = (
        (found.enrolled, "are in the catalogue already"),
        (found.bad, "were called bad"),
        (found.copies, "are copies of others"),
    )
    for count, reason in reasons:
        if count:
            shell.say(f"{count} photos {reason}, and are left out")
    shell.say(found.note)
