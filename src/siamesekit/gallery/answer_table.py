"""A table of answers: one row per candidate."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
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


def write_answers(path: Path, answers: Sequence[tuple[str, Answer]]) -> None:
    """Write one row per candidate; names are escaped, so that no spreadsheet takes them for formulas.

    Args:
        path: the file.
        answers: names of the queries, photos or encounters, with their answers.

    Raises:
        OutputError: the file cannot be written.
    """
    output = io.StringIO()
    rows = csv.writer(output, lineterminator="\n")
    rows.writerow(COLUMNS)
    for query, answer in answers:
        for rank, candidate in enumerate(answer.candidates, 1):
            rows.writerow(
                [
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
            )
    write_atomic(path, output.getvalue())


def _cell(probability: float | None) -> str:
    return "" if probability is None else f"{probability:.6g}"
