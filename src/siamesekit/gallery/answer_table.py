"""A table of answers: one row per candidate."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from siamesekit.data.spreadsheet_cells import spreadsheet_cell
from siamesekit.files.atomic import write_atomic
from siamesekit.files.replaceable import refuse_unwritable
from siamesekit.gallery.search import Answer

COLUMNS = (
    "query", "rank", "individual", "distance", "similarity", "probability", "new", "best photo", "photos", "points",
    "verdict",
)  # fmt: skip
"""Columns of a table of answers."""
HEADER = ",".join(COLUMNS[:-2])
"""How a table of answers begins, also one of before there were points and verdicts."""


def check_table(path: Path) -> None:
    """Check, before any work, that a table of answers can be written.

    Raises:
        OutputError: the folder is missing, or the file holds something else.
    """
    refuse_unwritable(path, "answers of a search", HEADER.encode())


def write_answers(path: Path, answers: Iterable[tuple[str, Answer]]) -> int:
    """Write one row per candidate, as the answers come; names are escaped, so that no spreadsheet takes them for
    formulas. Return the number of answers.

    Args:
        path: the file.
        answers: names of the queries, photos or encounters, with their answers.

    Raises:
        OutputError: the file cannot be written.
    """
    count = 0

    def write(file: Path) -> None:
        nonlocal count
        with file.open("w", encoding="utf-8", newline="") as opened:
            rows = csv.writer(opened, lineterminator="\n")
            rows.writerow(COLUMNS)
            for query, answer in answers:
                rows.writerows(_rows(query, answer))
                count += 1

    write_atomic(path, write)
    return count


def _rows(query: str, answer: Answer) -> Iterator[list[object]]:
    """The cells of each candidate."""
    for rank, candidate in enumerate(answer.candidates, 1):
        yield [
            spreadsheet_cell(query),
            rank,
            spreadsheet_cell(candidate.individual),
            f"{candidate.distance:.9g}",
            _cell(candidate.similarity),
            _cell(candidate.probability),
            _cell(answer.new),
            spreadsheet_cell(candidate.best.path),
            candidate.photos,
            "" if candidate.points is None else candidate.points,
            answer.verdict or "",
        ]


def _cell(probability: float | None) -> str:
    return "" if probability is None else f"{probability:.6g}"
