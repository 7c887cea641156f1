"""Reader `csv`: a table of photos and individuals."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from siamesekit.data.records import Record
from siamesekit.errors import DataError, MissingDataError, line_of_name, near
from siamesekit.files import read_plain
from siamesekit.registry import READERS

Delimiter = Literal[",", ";", "\t", "|"]

SHOWN_PROBLEMS = 10
LARGEST = 256 << 20
"""Bytes that a table may have: some million photos."""


@READERS.register("csv")
def read_csv(
    file: Path,
    photo: str = "photo",
    individual: str = "individual",
    group: str = "",
    root: Path | None = None,
    delimiter: Delimiter = ",",
    leave_out: tuple[str, ...] = (),
) -> list[Record]:
    """A table with a header, a photo to a row: which file it is, who is on it, and to which group it belongs.

    UTF-8, with or without a byte order mark; cells may be quoted, space around them does not count, empty lines do
    not either. Kaggle's `train.csv` of whales: `photo = "Image"`, `individual = "Id"`, `root = "train"`,
    `leave_out = ["new_whale"]`.

    Args:
        file: the table; relative to the config's file.
        photo: the column of the photos' files, relative to `root`.
        individual: the column of the individuals.
        group: the column of the photos' groups (sites, species, encounters), for the sampler `hierarchical`; empty:
            there is none.
        root: the folder of the photos; the table's own by default.
        delimiter: what stands between two cells.
        leave_out: individuals whose photos are left out: names that stand for photos of unknown individuals.

    Returns:
        A list of N records, one per row, in the table's order; each is called as its file is below `root`.

    Raises:
        MissingDataError: there is no such table, or no folder of photos.
        DataError: a column is not there, or rows cannot be used: cells are missing, a photo is not there, lies outside
            `root` or comes twice. All such rows are counted and the first ones shown.
    """
    if file.is_dir():
        raise DataError(f'{file} cannot be read: Is a directory; for a folder of photos: reader = "folder", '
                        f"root = {json.dumps(str(file))}")  # fmt: skip
    if not file.exists():
        raise MissingDataError(f"there is no file {file}: put a table with a header there")
    folder = (file.parent if root is None else root).absolute()
    folder = Path(os.path.normpath(folder))  # links stay links
    if not folder.is_dir():
        raise MissingDataError(f"there is no folder {folder}: put the photos of {file} there, or set data.root")
    rows = _rows(file, delimiter)
    header = next(rows, None)
    if header is None:
        raise DataError(f"{file} is empty; a table with a header is needed")
    wanted = {"photo": photo, "individual": individual, **({"group": group} if group else {})}
    places = _places(file, header.cells, wanted)
    records: list[Record] = []
    lines: dict[str, int] = {}
    problems: list[str] = []
    left_out = set()
    for line, cells in rows:
        record, wrong = _record(cells, places, wanted, len(header.cells), folder)
        if record is not None and record.individual in leave_out:
            left_out.add(record.individual)
            continue
        if record is not None and record.name in lines:
            wrong = [f"photo {line_of_name(record.name)} is already on line {lines[record.name]}"]
        problems += [f"line {line}: {what}" for what in wrong]
        if record is not None:
            lines.setdefault(record.name, line)
            records.append(record)
    if problems:
        more = [f"and {len(problems) - SHOWN_PROBLEMS} more"] if len(problems) > SHOWN_PROBLEMS else []
        raise DataError(
            f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in {file}", [*problems[:SHOWN_PROBLEMS], *more]
        )
    for name in leave_out:
        if name not in left_out:
            raise DataError(f"{file} has no individual {name!r} that leave_out could leave out"
                            f"{near(name, {record.individual for record in records})}")  # fmt: skip
    if not records:
        raise DataError(f"{file} has a header and no photos")
    return records


class _Row(NamedTuple):
    """A row, and the line on which it begins."""

    line: int
    cells: list[str]


def _rows(file: Path, delimiter: str) -> Iterator[_Row]:
    """The rows that are not empty, header first."""
    try:
        content = read_plain(file, LARGEST)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{file}, line {line}: not UTF-8; save the table as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    line = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield _Row(line, stripped)
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{file}, line {line}: {error}; are all quotes closed, and those in a cell doubled?") from None


def _places(file: Path, header: Sequence[str], wanted: dict[str, str]) -> dict[str, int]:
    """In which column each of what is wanted stands."""
    problems = []
    for option, name in wanted.items():
        if name not in header:
            problems.append(f"no column {name!r} (option {option!r}){near(name, header)}")
        elif header.count(name) > 1:
            problems.append(f"{header.count(name)} columns {name!r} (option {option!r}): rename all but one")
    if problems:
        columns = ", ".join(line_of_name(name) for name in header)
        hint = "; is the delimiter right?" if len(header) == 1 else ""
        raise DataError(f"{file}: {'; '.join(problems)}; its columns: {columns}{hint}")
    return {option: header.index(name) for option, name in wanted.items()}


def _record(
    cells: Sequence[str], places: dict[str, int], wanted: dict[str, str], width: int, folder: Path
) -> tuple[Record | None, list[str]]:
    """A row's record, and what is wrong with it; None where it cannot be told which photo it is or whose."""
    if len(cells) > width:
        return None, [f"{len(cells)} cells under {width} columns: quote a cell that holds the delimiter"]
    found = {option: cells[place] if place < len(cells) else "" for option, place in places.items()}
    missing = [f"no {option} in column {wanted[option]!r}" for option, cell in found.items() if not cell]
    if missing:
        return None, missing
    path = Path(os.path.normpath(folder / found["photo"]))
    shown = line_of_name(found["photo"])
    if not path.is_relative_to(folder):
        return None, [f"photo {shown} lies outside {folder}"]
    record = Record(path.relative_to(folder).as_posix(), found["individual"], path, found.get("group", ""), folder)
    # `Path.is_file` raises where the name is too long to be one
    return record, [] if os.path.isfile(path) else [f"photo {shown} is not there"]  # noqa: PTH113
