"""Tables as CSV that other programs read, whose cells no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from siamesekit.data.spreadsheet_cells import shared_cell
from siamesekit.errors import DataError
from siamesekit.gallery.exchange.observation import Observation
from siamesekit.wording import first_of, line_of_name

SHOWN = 3


@dataclass(frozen=True)
class Written:
    """Files of a format, not yet on the disk.

    Attributes:
        files: content of each file by its name; of a format of one file, under an empty name.
        notes: what the format could not hold, or what was assumed, in sentences.
    """

    files: Mapping[str, bytes]
    notes: tuple[str, ...]


def csv_of(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> tuple[bytes, list[str]]:
    """A table as CSV, and the texts that got an apostrophe.

    Args:
        columns: names of the columns, in their order.
        rows: cells by column; absent ones are empty.
    """
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    escaped: list[str] = []

    def cell(text: str) -> str:
        safe = shared_cell(text)
        if safe != text:
            escaped.append(text)
        return safe

    writer.writerow([cell(name) for name in columns])
    writer.writerows([cell(row.get(name, "")) for name in columns] for row in rows)
    return output.getvalue().encode("utf-8", "backslashreplace"), escaped


def note_of_apostrophes(escaped: Iterable[str]) -> list[str]:
    """What was done to texts that a spreadsheet would compute, as a sentence."""
    texts = list(dict.fromkeys(escaped))
    if not texts:
        return []
    return [
        f"{len(texts)} texts begin like formulas of spreadsheets, and have an apostrophe in front of that, which "
        f"readers here remove: {first_of(texts, SHOWN)}"
    ]


def note_of_lost(attributes: Sequence[str]) -> list[str]:
    """Attributes that a format has no place for, as a sentence."""
    return (
        [f"attributes that the format has no place for are left out: {first_of(attributes, 10)}"] if attributes else []
    )


def path_within(observation: Observation, base: Path) -> str:
    """The path of an observation's photo below a folder.

    Raises:
        DataError: it is not below it.
    """
    path = path_below(observation.file, base)
    if path is None:
        raise DataError(
            f"{line_of_name(str(observation.file))} is not below {line_of_name(str(base))}: name a folder that has all "
            "photos, --photos FOLDER"
        )
    return path


def path_below(file: Path, base: Path) -> str | None:
    """A file's path below a folder, with slashes; None if it is not below it."""
    try:
        return file.absolute().relative_to(base).as_posix()
    except ValueError:
        return None


def unique(wanted: Sequence[str], otherwise: Sequence[str]) -> list[str]:
    """A name for each item that no other has: the wanted one if only this item wants it, else the other one.

    >>> unique(["m1", "", "m2", "m2"], ["a", "m1", "c", "c"])
    ['m1', 'm1-2', 'c', 'c-2']
    """
    count = Counter(wanted)
    taken = {name for name, number in count.items() if name and number == 1}
    names = []
    for name, other in zip(wanted, otherwise, strict=True):
        if name and count[name] == 1:
            names.append(name)
            continue
        number, chosen = 1, other
        while chosen in taken:
            number += 1
            chosen = f"{other}-{number}"
        taken.add(chosen)
        names.append(chosen)
    return names
