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
from siamesekit.errors import DataError, MissingDataError
from siamesekit.files.untrusted import MAX_TABLE_BYTES, read_plain
from siamesekit.registry import READERS
from siamesekit.wording import first_lines, line_of_name, near

Delimiter = Literal[",", ";", "\t", "|"]

SHOWN_PROBLEMS = 10


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
    """A table with a header and one row per photo: its file, its individual, and optionally its group.

    The table is UTF-8, with or without a byte order mark. Cells may be quoted; surrounding spaces and empty lines are
    ignored. For Kaggle's `train.csv` of whales: `photo = "Image"`, `individual = "Id"`, `root = "train"`,
    `leave_out = ["new_whale"]`.

    Args:
        file: the table; relative to the config's file.
        photo: column of the photo files, relative to `root`.
        individual: column of the individuals.
        group: column of the groups (sites, species, encounters), for the sampler `hierarchical`; empty for none.
        root: the folder of the photos; by default the folder of the table.
        delimiter: separator of cells.
        leave_out: individuals whose photos are left out, such as names for unknown individuals.

    Returns:
        A list of N records, one per row, in the order of the table. A record's name is its file's path below `root`.

    Raises:
        MissingDataError: the table or the folder of photos does not exist.
        DataError: a column is missing, or rows are invalid: a missing cell, a missing photo, a photo outside `root`, or
            a photo listed twice. The message counts all such rows and shows the first ones.
    """
    if file.is_dir():
        raise DataError(
            f'{file} cannot be read: Is a directory; for a folder of photos: reader = "folder", '
            f"root = {json.dumps(str(file))}"
        )
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
        raise DataError(
            f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in {file}",
            first_lines(problems, SHOWN_PROBLEMS),
        )
    for name in leave_out:
        if name not in left_out:
            raise DataError(
                f"leave_out: {file} has no individual {name!r}{near(name, {record.individual for record in records})}"
            )
    if not records:
        raise DataError(f"{file} has a header but no photos")
    return records


class _Row(NamedTuple):
    """A row, with the number of its first line."""

    line: int
    cells: list[str]


def _rows(file: Path, delimiter: str) -> Iterator[_Row]:
    """The rows that are not empty, with the header first."""
    try:
        content = read_plain(file, MAX_TABLE_BYTES)
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
        raise DataError(f"{file}, line {line}: {error}; close all quotes, and double quotes inside a cell") from None


def _places(file: Path, header: Sequence[str], wanted: dict[str, str]) -> dict[str, int]:
    """The index of the column of each option."""
    problems = []
    for option, name in wanted.items():
        if name not in header:
            problems.append(f"no column {name!r} (option {option!r}){near(name, header)}")
        elif header.count(name) > 1:
            problems.append(f"{header.count(name)} columns {name!r} (option {option!r}): rename all but one")
    if problems:
        columns = ", ".join(line_of_name(name) for name in header)
        hint = "; check the delimiter" if len(header) == 1 else ""
        raise DataError(f"{file}: {'; '.join(problems)}; its columns: {columns}{hint}")
    return {option: header.index(name) for option, name in wanted.items()}


def _record(
    cells: Sequence[str], places: dict[str, int], wanted: dict[str, str], width: int, folder: Path
) -> tuple[Record | None, list[str]]:
    """The record of a row, and its problems; no record if the photo or the individual cannot be read."""
    if len(cells) > width:
        return None, [f"{len(cells)} cells under {width} columns: quote a cell that holds the delimiter"]
    found = {option: cells[place] if place < len(cells) else "" for option, place in places.items()}
    missing = [f"no {option} in column {wanted[option]!r}" for option, cell in found.items() if not cell]
    if missing:
        return None, missing
    path = Path(os.path.normpath(folder / found["photo"]))
    name = line_of_name(found["photo"])
    if not path.is_relative_to(folder):
        return None, [f"photo {name} is outside {folder}"]
    record = Record(path.relative_to(folder).as_posix(), found["individual"], path, found.get("group", ""), folder)
    # `Path.is_file` raises for a name that is too long
    return record, [] if os.path.isfile(path) else [f"no such photo: {name}"]  # noqa: PTH113
