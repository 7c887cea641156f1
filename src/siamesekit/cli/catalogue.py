"""The commands of a catalogue: enrol, add, match, decide, search, and what corrects it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from siamesekit.cli.arguments import with_links
from siamesekit.cli.command_options import (
    DataOptions,
    Debug,
    Device,
    DeviceOption,
    FollowLinks,
    Json,
    MatcherOptions,
    Plugin,
    RunArgument,
    SkipBad,
)
from siamesekit.cli.completion import matchers
from siamesekit.cli.screen import news_only
from siamesekit.cli.shell import Shell
from siamesekit.cli.skipped import skipped
from siamesekit.cli.usage import Command
from siamesekit.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamesekit.data.records import Records
    from siamesekit.data.unusable import UnusablePhoto
    from siamesekit.gallery.catalogue import Added, Catalogue
    from siamesekit.gallery.last_season import LastSeason
    from siamesekit.gallery.matching import Matches
    from siamesekit.gallery.refinement import Refinement
    from siamesekit.gallery.search import Scoring
    from siamesekit.gallery.second_look import SecondLook

CatalogueArgument = Annotated[Path, typer.Argument(metavar="CATALOGUE", help="Folder of the catalogue.")]
InputArgument = Annotated[
    Path,
    typer.Argument(
        metavar="INPUT",
        help="Folder of photos, INPUT/INDIVIDUAL/photo.jpg, or a table of photos (.csv, .tsv, .xlsx, .parquet).",
    ),
]
Reader = Annotated[
    str | None, typer.Option(metavar="NAME", help="Reader of INPUT, if not told by its kind: siamesekit list readers.")
]
Author = Annotated[
    str | None, typer.Option(metavar="NAME", help="Who makes the change. Default: the user of the machine.")
]
SeasonArgument = Annotated[
    Path,
    typer.Argument(
        metavar="INPUT", help="A photo, a folder of photos, or a table of photos (.csv, .tsv, .xlsx, .parquet)."
    ),
]
OpenArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[INPUT]",
        show_default=False,
        help="A photo, a folder of photos, or a table of photos. Default: what was matched or reviewed last.",
    ),
]
Encounter = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Photos with the same value in this column show one individual.")
]
Candidates = Annotated[
    int | None,
    typer.Option("-k", metavar="K", min=1, help="Individuals per photo. Default: 12, or all if there are fewer."),
]
Where = Annotated[
    str | None,
    typer.Option(metavar="CONDITION", help="Search only photos that meet it: \"site = 'North' and side = 'left'\"."),
]
By = Annotated[
    str,
    typer.Option(
        metavar="nearest|mean|M", help="Distance to an individual: nearest photo, mean of all, or of the M nearest."
    ),
]
MatcherName = Annotated[
    str | None,
    typer.Option(
        "--matcher",
        metavar="NAME",
        help="Look again at the best individuals: count points that photos share (siamesekit list matchers).",
        autocompletion=matchers,
    ),
]
LookAt = Annotated[
    int, typer.Option("--look-at", metavar="B", min=1, help="With --matcher: individuals that are looked at again.")
]
StoreName = Annotated[
    str,
    typer.Option(
        "--store", metavar="NAME", help="Where embeddings are searched: memory-mapped, lancedb, qdrant or a plugin's."
    ),
]
StoreOptions = Annotated[
    list[str],
    typer.Option(
        "--store-option", metavar="KEY=VALUE", help="Option of the store: siamesekit show store NAME. Repeatable."
    ),
]
RerankName = Annotated[
    str | None,
    typer.Option(
        "--rerank", metavar="NAME", help="Order individuals by the neighbours shared with the photo: k-reciprocal."
    ),
]
ExpandBy = Annotated[
    int | None,
    typer.Option("--expand", metavar="N", min=1, help="Search by the mean of the photo and its N nearest photos."),
]
FalseKnown = Annotated[
    float | None,
    typer.Option(
        "--false-known",
        metavar="SHARE",
        help='Call each photo "known" or "maybe new", and at most this share of the photos of new individuals known.',
    ),
]
Alpha = Annotated[
    float,
    typer.Option("--alpha", metavar="A", min=0, help="With --expand: photos weigh by similarity ^ A; 0: all alike."),
]
commands = typer.Typer()
"""The commands of a catalogue, beside the others."""


@commands.command(cls=Command, short_help="Make a catalogue of known individuals.")
def enrol(
    run: RunArgument,
    photos: InputArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="CATALOGUE", help="Folder of the catalogue; it is created.")
    ],
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
        shell.require_files(run, photos)
        shell.load_plugins(plugin)
        from siamesekit.gallery.catalogue import enrol as enrol_photos
        from siamesekit.gallery.store_choice import named_store

        where = named_store(store, store_option)
        if not as_json:
            news_only()
        found = _records(shell, photos, reader, with_links(options, follow_links), skip_bad)
        catalogue, added = enrol_photos(run, found, output, shell, skip_bad, device.value, author, where)
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
        with _opened(path, author, device, news=not as_json) as catalogue:
            found = _records(shell, photos, reader, with_links(options, follow_links), skip_bad)
            _tell_added(shell, catalogue.add(found, shell, skip_bad), found, path, as_json)


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
        with _opened(path, author) as catalogue:
            count = catalogue.remove(names)
        _tell(shell, as_json, f"{count} photos removed", photos=count)


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
        with _opened(path, author) as catalogue:
            catalogue.rename(old, new)
        _tell(shell, as_json, f"{old} is now {new}", old=old, new=new)


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
        with _opened(path, author) as catalogue:
            count = catalogue.merge(kept, other)
        _tell(shell, as_json, f"{kept} has the {count} photos of {other} now", kept=kept, photos=count)


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
        with _opened(path, author) as catalogue:
            count = catalogue.split(individual, photos)
        _tell(shell, as_json, f"{individual} has {count} more photos now", individual=individual, photos=count)


@commands.command(cls=Command, short_help="Undo the last change of a catalogue.")
def undo(path: CatalogueArgument, author: Author = None, as_json: Json = False, debug: Debug = False) -> None:
    """Undo the last change of a catalogue that is not undone yet. Repeat it for earlier ones."""
    with Shell(debug, quiet=as_json) as shell:
        with _opened(path, author) as catalogue:
            change = catalogue.undo()
        _tell(shell, as_json, f"undone: change {change.id}, {change.command}: {change.summary}", **vars(change))


@commands.command(cls=Command, short_help="Show the changes of a catalogue.")
def log(
    path: CatalogueArgument,
    most: Annotated[int | None, typer.Option("-n", metavar="N", min=1, help="Only the last N changes.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show who changed what in a catalogue, the last change first."""
    with Shell(debug, quiet=as_json) as shell:
        with _opened(path) as catalogue:
            changes = catalogue.log(most)
        if as_json:
            return shell.json([vars(change) for change in changes])
        for change in changes:
            undone = " (undone)" if change.undone else ""
            shell.say(f"{change.id}  {change.date}  {change.author}  {change.command}: {change.summary}{undone}")
    return None


@commands.command(cls=Command, short_help="Show what a catalogue holds.")
def info(path: CatalogueArgument, as_json: Json = False, debug: Debug = False) -> None:
    """Show what a catalogue holds: individuals, photos, its model, the columns that a condition can name."""
    with Shell(debug, quiet=as_json) as shell:
        with _opened(path) as catalogue:
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

        refinement = _refinement(rerank, expand, alpha)
        look = _second_look(matcher, look_at, matcher_option)
        options = SearchOptions(count, where, _scoring(by), look, refinement, false_known)
        with _opened(path, device=device, news=table is not None and not as_json) as catalogue:
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
        look, refinement = _second_look(matcher, look_at, matcher_option), _refinement(rerank, expand, alpha)
        searched = SearchOptions(count, where, _scoring(by), look, refinement, false_known)
        reading = tuple(with_links(options, follow_links))
        with _opened(path, device=device, news=not as_json) as catalogue:
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
        look, refinement = _second_look(matcher, look_at, matcher_option), _refinement(rerank, expand, alpha)
        searched = SearchOptions(count, where, _scoring(by), look, refinement, false_known)
        with _opened(path, author, device, news=True) as catalogue:
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
        with _opened(path, author, device, news=not as_json) as catalogue:
            done = catalogue.decide(decisions, shell)
        text = (
            f"{done.same} photos given to known individuals, {done.new} to {done.individuals} new ones; "
            f"{done.unsure} unsure, {done.bad} bad"
        )
        _tell(shell, as_json, f"{text}; {done.there} applied before" if done.there else text, **vars(done))


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
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure how well a catalogue finds its own individuals, and notices new ones; nothing is changed.

    Five times, a fifth of the individuals is left out as new, half of each other one's photos are held out, and all of
    these are searched for among the rest. --mirror, --matcher, --rerank and --expand add a row of figures each. Only
    individuals that did not train the network are searched for, if there are ten.
    """
    with Shell(debug, quiet=as_json) as shell:
        shell.load_plugins(plugin)
        scoring, look = _scoring(by), _second_look(matcher, look_at, matcher_option)
        refinement = _refinement(rerank, expand, alpha)
        chosen = (None, None) if refinement is None else (refinement.rerank, refinement.expand)
        with _opened(path, device=device) as catalogue:
            found = catalogue.report(look, *chosen, mirror, scoring, encounter, shell)
        if as_json:
            return shell.json(found.as_json())
        from siamesekit.cli.rich_tables import report_table
        from siamesekit.wording import with_interval

        shell.out.print(report_table(found))
        if found.rand_index is not None:
            shell.say(f"clusters: adjusted Rand index {with_interval(found.rand_index._asdict())}; 1 is perfect")
        for note in found.notes:
            shell.say(note)
    return None


@commands.command("re-embed", cls=Command, short_help="Move a catalogue to another model.")
def re_embed(
    path: CatalogueArgument,
    run: RunArgument,
    author: Author = None,
    plugin: Plugin = [],  # noqa: B006
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compute all embeddings of a catalogue anew with the model of a run; individuals and journal stay."""
    with Shell(debug, quiet=as_json) as shell:
        shell.require_files(run)
        shell.load_plugins(plugin)
        with _opened(path, author, device, news=not as_json) as catalogue:
            count = catalogue.re_embed(run, shell)
        _tell(shell, as_json, f"{count} photos have embeddings of the new model", photos=count)


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
    move leaves the former store or the new one.
    """
    with Shell(debug, quiet=as_json) as shell:
        shell.load_plugins(plugin)
        from siamesekit.gallery.store_choice import named_store

        choice = named_store(store, store_option)
        with _opened(path, author, device) as catalogue:
            count = catalogue.move_store(choice)
        _tell(shell, as_json, f"{count} photos are searched in store {choice} now", store=str(choice), photos=count)


def _opened(path: Path, author: str | None = None, device: Device = Device.auto, news: bool = False) -> Catalogue:
    """A catalogue.

    Args:
        path: its folder.
        author: who makes changes.
        device: device on which its model runs.
        news: whether stdout only reports progress, because the result is written to files.
    """
    from siamesekit.gallery.catalogue import Catalogue

    if news:
        news_only()
    return Catalogue(path, device.value, author)


def _records(shell: Shell, photos: Path, reader: str | None, options: Sequence[str], skip_bad: bool) -> Records:
    """The records of a folder or table, by a reader; what the reader has to say is printed."""
    from siamesekit.gallery.season import read

    records = read(photos, reader, options, skip_bad)
    for note in records.notes:
        shell.say(note)
    return records


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
    with _opened(path):  # whether it is a catalogue
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


def _scoring(by: str) -> Scoring:
    words: dict[str, Scoring] = {"nearest": "nearest", "mean": "mean"}
    if by in words:
        return words[by]
    if by.isascii() and by.isdigit() and int(by):
        return int(by)
    raise UserError(f"--by: expected nearest, mean or a number of photos, not {by!r}")


def _second_look(matcher: str | None, look_at: int, options: list[str]) -> SecondLook | None:
    """A second look by a matcher of this name, with its options."""
    from siamesekit.cli.arguments import matcher_options

    told = matcher_options(matcher, options)
    if matcher is None:
        return None
    from siamesekit.gallery.second_look import SecondLook

    return SecondLook(matcher, look_at, options=told)


def _refinement(rerank: str | None, expand: int | None, alpha: float) -> Refinement | None:
    """Re-ranking of this name, and expansion by so many photos."""
    if rerank is None and expand is None:
        return None
    from siamesekit.gallery.refinement import expansion, refinement_of

    return refinement_of(rerank, expansion(expand, alpha))


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


def _tell_added(shell: Shell, added: Added, records: Records, path: Path, as_json: bool) -> None:
    """Report what was added, and all that was left out."""
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


def _tell(shell: Shell, as_json: bool, text: str, **facts: Any) -> None:
    if as_json:
        shell.json(facts)
    else:
        shell.say(text)
