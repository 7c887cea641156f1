"""A table of pairs of photos: a person answers whether both show one individual."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from siamesekit.data.spreadsheet_cells import spreadsheet_cell, text_of_cell
from siamesekit.errors import DataError
from siamesekit.gallery.links import Links, path
from siamesekit.gallery.table_lines import TableForm, read_lines, refuse
from siamesekit.wording import line_of_name, near

COLUMNS = ("photo", "other", "probability", "draw", "same")
"""Columns of the table; `photo`, `other` and `same` are needed to read it."""
HEADER = ",".join(COLUMNS)
FORM = TableForm(
    ("photo", "other", "same"),
    "photo,other,same, as in the pairs.csv of siamesekit cluster, separated by commas",
    "save it as CSV again",
    "nothing was written",
)
WORDS = {"yes": True, "no": False}
"""Answers in the column `same`, whose cell is empty while there is none."""


@dataclass(frozen=True)
class PairAnswer:
    """A person's answer on two photos.

    Attributes:
        photo: name of a photo.
        other: name of the other photo.
        same: whether both show one individual.
        draw: number of the draw for the count of individuals to which the pair belongs, from 1 on; None if to none.
        place: where the answer stands, such as `pairs.csv, line 3`, for messages.
    """

    photo: str
    other: str
    same: bool
    draw: int | None = None
    place: str = "the answers"


def read_answers(file: Path) -> list[PairAnswer]:
    """Read the answers of a table of pairs; pairs without an answer are passed over.

    Raises:
        DataError: the file is no such table, or lines are wrong; it counts them and shows the first ones.
    """
    read = read_lines(file, FORM, lambda row, place: _answer(row, f"{file.name}, {place}"))
    return [answer for answer in read if answer is not None]


def linked(photos: Mapping[str, int], known: Links, answers: Sequence[PairAnswer]) -> Links:
    """The links that are known already, and those of answers.

    Args:
        photos: indices of the photos, by name.
        known: links that are known already, without contradictions.
        answers: the answers.

    Raises:
        DataError: answers name photos that are not there, or contradict each other or the known links.
    """
    problems: list[str] = []
    pairs: list[tuple[int, int]] = []
    for answer in answers:
        unknown = [name for name in (answer.photo, answer.other) if name not in photos]
        if unknown:
            problems.append(f"{answer.place}: there is no photo {unknown[0]!r}{near(unknown[0], photos)}")
            pairs.append((-1, -1))
            continue
        pairs.append((photos[answer.photo], photos[answer.other]))
        if answer.photo == answer.other:
            problems.append(f"{answer.place}: both photos are {line_of_name(answer.photo)}")
    refuse(problems, f"{len(problems)} answers cannot be used; nothing was written:")
    yes = [(pair, answer) for pair, answer in zip(pairs, answers, strict=True) if answer.same]
    no = [(pair, answer) for pair, answer in zip(pairs, answers, strict=True) if not answer.same]
    must = (*known.must, *(pair for pair, _ in yes))
    every = Links(known.photos, must, (*known.cannot, *(pair for pair, _ in no)))
    if not every.contradictions():
        return every
    names = {index: name for name, index in photos.items()}
    places = [None] * len(known.must) + [answer.place for _, answer in yes]
    denied = [(pair, None) for pair in known.cannot] + [(pair, answer.place) for pair, answer in no]
    for (a, b), place in denied:
        if every.components[a] == every.components[b]:
            chain = {places[number] or "decisions in the catalogue" for number in path(must, a, b)}
            said = place or "decisions in the catalogue"
            shown = f"{line_of_name(names[a])} and {line_of_name(names[b])}"
            problems.append(f"{said}: {shown} are different, and the same by {'; '.join(sorted(chain))}")
    refuse(problems, f"{len(problems)} answers contradict others; nothing was written:")
    return every


def table_of(rows: Sequence[tuple[str, str, float | None, int | None, bool | None]]) -> str:
    """A table of pairs: names of both photos, probability, draw and answer; None for an empty cell."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(COLUMNS)
    words = {answer: word for word, answer in WORDS.items()}
    for photo, other, chance, draw, same in rows:
        cells = "" if chance is None else f"{chance:.4f}", draw or "", "" if same is None else words[same]
        writer.writerow([spreadsheet_cell(photo), spreadsheet_cell(other), *cells])
    return output.getvalue()


def _answer(row: Mapping[str, str], place: str) -> PairAnswer | None:
    """The answer of a row; None if there is none yet.

    Raises:
        DataError: a cell is wrong.
    """
    word, draw = row["same"].strip().lower(), row.get("draw", "").strip()
    if not word:
        return None
    if word not in WORDS:
        raise DataError(f"same is {row['same']!r}{near(word, WORDS)}; expected yes, no, or nothing")
    if draw and not (draw.isascii() and draw.isdigit() and 0 < int(draw) < 10**6):
        raise DataError(f"draw is {draw[:80]!r}; expected the number that siamesekit cluster has written")
    photo, other = text_of_cell(row["photo"]), text_of_cell(row["other"])
    if not photo or not other:
        raise DataError("a photo is missing")
    return PairAnswer(photo, other, WORDS[word], int(draw) if draw else None, place)
