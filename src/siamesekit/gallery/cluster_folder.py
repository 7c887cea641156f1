"""The folder of a discovery: its clusters, suggestions, and the pairs to ask about, as tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from siamesekit.data.spreadsheet_cells import spreadsheet_cell
from siamesekit.errors import DataError, OutputError
from siamesekit.files.atomic import write_atomic
from siamesekit.files.paths import is_plain
from siamesekit.gallery.discovery import Discovery
from siamesekit.gallery.pair_answers import PairAnswer, read_answers, table_of
from siamesekit.gallery.suggestions import Merge, Split
from siamesekit.wording import line_of_name

CLUSTERS, SUGGESTIONS, PAIRS = "clusters.csv", "suggestions.csv", "pairs.csv"
"""Files of a discovery."""
SUGGESTION_COLUMNS = (
    "suggestion", "group", "other", "probability", "photos", "other photos", "nearest probability", "photo",
    "other photo", "leaving",
)  # fmt: skip
"""Columns of the suggestions."""


def check_cluster_folder(folder: Path, answers: Path | None) -> None:
    """Check, before any work, that a discovery can be written without losing answers.

    Args:
        folder: the folder.
        answers: the table of answers that is given.

    Raises:
        OutputError: the folder holds something else, what it lies in is missing, or its pairs.csv has answers that are
            not given.
    """
    shown = line_of_name(str(folder))
    if not folder.absolute().parent.is_dir():
        raise OutputError(f"{shown}: there is no folder {line_of_name(str(folder.absolute().parent))}")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{shown} is not a folder; choose another name")
    if not folder.exists():
        return
    entries = {entry.name: entry for entry in folder.iterdir()}
    others = [name for name, entry in entries.items() if not _is_ours(name, entry)]
    if others:
        raise OutputError(f"{shown} holds something other than clusters: {min(others)}; choose another folder")
    pairs = folder / PAIRS
    if not pairs.exists():
        return
    try:
        there = {_key(answer) for answer in read_answers(pairs)}
    except DataError as error:
        raise OutputError(f"{line_of_name(str(pairs))} is not replaced: {error.message}", error.details) from None
    given = {_key(answer) for answer in read_answers(answers)} if answers else set()
    if there - given:
        raise OutputError(
            f"{line_of_name(str(pairs))} has {len(there - given)} answers that would be lost: give them with --answers "
            f"{line_of_name(str(pairs))}, or choose another folder"
        )


def write_discovery(folder: Path, found: Discovery) -> None:
    """Write the three tables; names are escaped, so that no spreadsheet takes them for formulas.

    Raises:
        OutputError: a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{line_of_name(str(folder))} cannot be created: {error.strerror}") from error
    clusters = zip(found.photos, found.clusters.tolist(), found.individuals, strict=True)
    write_atomic(folder / CLUSTERS, _table(("photo", "cluster", "individual"), clusters))
    write_atomic(folder / SUGGESTIONS, _table(SUGGESTION_COLUMNS, _suggestions(found)))
    write_atomic(folder / PAIRS, table_of(_pairs(found)))


def facts_of(found: Discovery) -> dict[str, Any]:
    """A discovery in the form of JSON, but for the photos' clusters, which are in the table."""
    names = found.photos
    return {
        "photos": len(names),
        "clusters": int(found.clusters.max()),
        "same_share": found.same_share,
        "cut": found.cut,
        "adjusted_rand_index": _fields(found.rand_index),
        "individuals": {"found": _fields(found.found), "labelled": found.labelled},
        "count": None if found.count is None else vars(found.count),
        "merges": [_merge(found, each) for each in found.merges],
        "splits": [_split(found, each) for each in found.splits],
        "next": [
            {"photos": [names[photo] for photo in each.photos], "probability": each.probability, "change": each.change}
            for each in found.questions
        ],
        "questions": len(found.asked),
        "answers": len(found.answers),
        "notes": list(found.notes),
    }


def _pairs(found: Discovery) -> list[tuple[str, str, float | None, int | None, bool | None]]:
    """All answers, and below them the pairs to ask about: the next for the clusters, then those for the number."""
    names = found.photos
    rows: list[tuple[str, str, float | None, int | None, bool | None]] = [
        (each.photo, each.other, None, each.draw, each.same) for each in found.answers
    ]
    rows += [(names[a], names[b], chance, draw, None) for (a, b), chance, draw in found.asked]
    return rows


def _suggestions(found: Discovery) -> Iterable[Sequence[Any]]:
    for merge in found.merges:
        photo, other = (found.photos[each] for each in merge.photos)
        chances = f"{merge.probability:.4f}", f"{merge.nearest:.4f}"
        yield ("merge", found.groups[merge.first], found.groups[merge.second], chances[0], *merge.sizes, chances[1],
               photo, other, "")  # fmt: skip
    for split in found.splits:
        photo, other = (found.photos[each] for each in split.photos)
        leaving = " | ".join(found.photos[each] for each in split.leaving)
        sizes = split.size - len(split.leaving), len(split.leaving)
        chances = f"{split.probability:.4f}", f"{split.nearest:.4f}"
        yield "split", found.groups[split.group], "", chances[0], *sizes, chances[1], photo, other, leaving


def _merge(found: Discovery, merge: Merge) -> dict[str, Any]:
    return {
        "groups": [found.groups[merge.first], found.groups[merge.second]],
        "probability": merge.probability,
        "nearest": [found.photos[photo] for photo in merge.photos],
        "nearest_probability": merge.nearest,
        "photos": list(merge.sizes),
    }


def _split(found: Discovery, split: Split) -> dict[str, Any]:
    return {
        "group": found.groups[split.group],
        "probability": split.probability,
        "nearest": [found.photos[photo] for photo in split.photos],
        "nearest_probability": split.nearest,
        "leaving": [found.photos[photo] for photo in split.leaving],
        "photos": split.size,
    }


def _fields(interval: Any) -> dict[str, Any] | None:
    return None if interval is None else interval._asdict()


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([spreadsheet_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return output.getvalue()


def _key(answer: PairAnswer) -> tuple[str, str, bool]:
    first, second = sorted((answer.photo, answer.other))
    return first, second, answer.same


def _is_ours(name: str, entry: Path) -> bool:
    """Whether a file of a folder is one of the tables, by its name and, but for pairs.csv, by its first line."""
    if name == PAIRS:
        return is_plain(entry)
    headers = {CLUSTERS: "photo,cluster,individual", SUGGESTIONS: ",".join(SUGGESTION_COLUMNS)}
    if name not in headers or not is_plain(entry):
        return False
    with entry.open("rb") as file:
        start = file.read(len(headers[name]))
    return not start or start == headers[name].encode()
