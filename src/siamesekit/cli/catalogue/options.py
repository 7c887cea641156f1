"""Arguments and options that several commands of a catalogue share, and what the options of a search mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siamesekit.cli.completion import matchers
from siamesekit.errors import UserError

if TYPE_CHECKING:
    from siamesekit.gallery.refinement import Refinement
    from siamesekit.gallery.search import Scoring
    from siamesekit.gallery.second_look import SecondLook

CatalogueArgument = Annotated[Path, typer.Argument(metavar="CATALOGUE", help="Folder of the catalogue.")]
InputArgument = Annotated[
    Path,
    typer.Argument(
        metavar="INPUT",
        help="Folder of photos, INPUT/INDIVIDUAL/photo.jpg, a table of photos (.csv, .tsv, .xlsx, .parquet), or a file "
        "of embeddings (siamesekit embed).",
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


def scoring(by: str) -> Scoring:
    """How the distance to an individual follows from those to its photos: `--by`.

    Raises:
        UserError: it is none of the ways.
    """
    words: dict[str, Scoring] = {"nearest": "nearest", "mean": "mean"}
    if by in words:
        return words[by]
    if by.isascii() and by.isdigit() and int(by):
        return int(by)
    raise UserError(f"--by: expected nearest, mean or a number of photos, not {by!r}")


def second_look(matcher: str | None, look_at: int, options: list[str]) -> SecondLook | None:
    """A second look by a matcher of this name, with its options."""
    from siamesekit.cli.arguments import matcher_options

    told = matcher_options(matcher, options)
    if matcher is None:
        return None
    from siamesekit.gallery.second_look import SecondLook

    return SecondLook(matcher, look_at, options=told)


def refinement_asked(rerank: str | None, expand: int | None, alpha: float) -> Refinement | None:
    """Re-ranking of this name, and expansion by so many photos."""
    if rerank is None and expand is None:
        return None
    from siamesekit.gallery.refinement import expansion, refinement_of

    return refinement_of(rerank, expansion(expand, alpha))
