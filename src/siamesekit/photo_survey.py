"""The photos of a new project looked at: where they are, how many of whom, of what sizes."""

from __future__ import annotations

import csv
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from PIL import Image

from siamesekit.config.toml import dump_toml
from siamesekit.data.images import FORMATS
from siamesekit.data.passed_over import passed_over
from siamesekit.data.photo_folders import children, is_photo, photos_in
from siamesekit.data.records import Record
from siamesekit.errors import DataError
from siamesekit.files import open_regular
from siamesekit.problems import is_utf8
from siamesekit.registry import READERS

LOOKED_AT = 300
"""Of at most so many photos the size is read, from their headers."""
GUESSED_BY, LONGEST_LINE = 50, 1 << 20
"""Rows of a table that are looked at where its header does not tell, and bytes of a line of it."""
COLUMNS = {
    "photo": ("photo", "image", "file", "filename", "file_name", "image_path", "path"),
    "individual": ("individual", "individual_id", "individual_name", "identity", "id", "name", "label", "class"),
}
"""What a table's columns may be called, capitals aside, in the order in which they are looked for."""


@dataclass(frozen=True)
class Survey:
    """What is there.

    Attributes:
        reader: that reads it.
        option: the reader's option for the place.
        place: a folder, or a table.
        options: the reader's others that are not at their defaults.
        records: all photos.
        counts: photos of each individual.
        sides: shorter and longer side in pixels of those photos that were looked at.
        unreadable: how many of those that were looked at are no pictures.
        notes: what a person should know.
    """

    reader: str
    option: str
    place: Path
    options: dict[str, str]
    records: tuple[Record, ...]
    counts: dict[str, int]
    sides: tuple[tuple[int, int], ...]
    unreadable: int
    notes: tuple[str, ...]

    @property
    def singletons(self) -> int:
        """How many individuals have a single photo."""
        return sum(count == 1 for count in self.counts.values())


def is_table(place: Path) -> bool:
    """Whether a file is taken for a table of photos, by its name."""
    return place.suffix.lower() == ".csv"


def locate(folder: Path) -> Path:
    """Where the photos of a project are: the first place that looks like `INDIVIDUAL/photo.jpg`.

    Raises:
        DataError: there are no photos in any of them.
    """
    places = [place for place in (folder, folder / "photos", folder / "data") if place.is_dir()]
    contents = {place: _contents(place) for place in places}
    for fewest in (2, 1):
        for place, (_, individuals) in contents.items():
            if individuals >= fewest:
                return place
    for place, (loose, _) in contents.items():
        if loose:
            raise DataError(f"{place}: {loose} photos lie directly in it, and nothing says who is on them: give each "
                            f"individual a folder, {place / 'INDIVIDUAL' / 'photo.jpg'}")  # fmt: skip
    raise DataError(f"no photos in {folder}, {folder / 'photos'} or {folder / 'data'}: put them at "
                    f"{folder / 'photos' / 'INDIVIDUAL' / 'photo.jpg'}, or say where they are: "
                    "--photos FOLDER")  # fmt: skip


def survey(place: Path) -> Survey:
    """Count photos and individuals, and look at the sizes of some.

    Raises:
        DataError: there are none, or none can be opened.
    """
    if not is_utf8(place):
        raise DataError(f"{str(place)!a}: its name is not of UTF-8, as a config is: rename it")
    reader = "csv" if is_table(place) else "folder"
    option = next(option.name for option in READERS.get(reader).options if option.required)
    options, guessed = _columns(place) if reader == "csv" else ({}, ())
    try:
        records = tuple(READERS.build(reader, {option: str(place), **options}, seed=0))
    except DataError as error:
        if "no column" not in str(error):
            raise
        names = "; ".join(f"{option}: {', '.join(columns)}" for option, columns in COLUMNS.items())
        raise DataError(f"{error}; rename its columns to names that are known ({names}), or write the config by hand: "
                        f"[data] with reader = \"csv\", {dump_toml({option: place.name}).strip()}, "
                        'photo = "COLUMN", individual = "COLUMN"') from None  # fmt: skip
    sides, unreadable = _sides(records)
    if not sides:
        raise DataError(f"{place}: none of the {unreadable} photos that were looked at is a picture "
                        f"({', '.join(FORMATS)})")  # fmt: skip
    notes = []
    if unreadable:
        notes.append(f"{unreadable} of {unreadable + len(sides)} photos that were looked at are no pictures: "
                     "siamesekit check names them")  # fmt: skip
    if guessed:
        taken = " and ".join(f"column {options[each]!r} is the {each}" for each in guessed)
        notes.append(f"by what stands in them, {taken}: change that in the config if it is not so")
    if reader == "folder":
        others = passed_over(place)
        if others.loose:
            notes.append(f"{others.loose} photos directly in {place} are in no individual's folder and are left out")
        notes += replace(others, loose=0).sentences()
        if all(record.name.count("/") > 1 for record in records):
            notes.append(f"all photos lie deeper than {place}/INDIVIDUAL/photo.jpg: if the individuals are one level "
                         "further down, give that folder as --photos")  # fmt: skip
    counts = dict(sorted(Counter(record.individual for record in records).items()))
    return Survey(reader, option, place, options, records, counts, sides, unreadable, tuple(notes))


def news(found: Survey) -> list[str]:
    """What was found, a line each."""
    counts = sorted(found.counts.values())
    short, long = sorted(side for side, _ in found.sides), sorted(side for _, side in found.sides)
    several = f", {found.singletons} of them with a single photo" if found.singletons else ""
    middle = "" if counts[0] == counts[-1] else f", {median(counts):g} in the middle"
    return [
        f"{len(found.records)} photos of {len(counts)} individuals{several}",
        f"{_span(counts)} photos each{middle}",
        f"shorter sides of {_span(short)} pixels, longer ones of {_span(long)} ({len(found.sides)} photos looked at)",
    ]


def _span(ordered: list[int]) -> str:
    first, last = ordered[0], ordered[-1]
    return f"{first}" if first == last else f"{first} to {last}"


def _columns(table: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """The options of reader `csv` that a table's header tells, and which of them are guessed by the cells below it.

    What is found by neither, the reader says.
    """
    try:
        with open_regular(table) as file:
            lines = [file.readline(LONGEST_LINE).decode("utf-8-sig", "replace") for _ in range(1 + GUESSED_BY)]
        line = lines[0]
        delimiter = max(",;\t|", key=line.count)
        header, *rows = [[cell.strip() for cell in row] for row in csv.reader(filter(None, lines), delimiter=delimiter)]
    except (OSError, ValueError, csv.Error):
        return {}, ()  # the reader's error says more
    options = {} if delimiter == "," else {"delimiter": delimiter}
    for option, names in COLUMNS.items():
        found = next((column for name in names for column in header if column.lower() == name), option)
        if found != option:
            options[option] = found
    lacking = [option for option in COLUMNS if option not in options and option not in header]
    guess = _guess(header, rows, table.parent) if lacking else {}
    if lacking and set(lacking) <= set(guess):
        return options | {option: guess[option] for option in lacking}, tuple(lacking)
    return options, ()


def _guess(header: list[str], rows: list[list[str]], folder: Path) -> dict[str, str]:
    """The columns of photos, whose files are there, and of individuals, by the cells below a header.

    An individual's column is the only other one, or the only one of texts that come again.
    """
    columns = {name: [row[place] for row in rows if place < len(row)] for place, name in enumerate(header)}
    photos = [name for name, cells in columns.items() if cells and all(_is_there(folder / cell) for cell in cells)]
    if len(photos) != 1:
        return {}
    others = [name for name in header if name not in photos]
    again = [name for name in others if 1 < len(set(columns[name])) < len(columns[name])
             and not all(cell.replace(".", "").isdecimal() for cell in columns[name])]  # fmt: skip
    chosen = others if len(others) == 1 else again
    return {"photo": photos[0], **({"individual": chosen[0]} if len(chosen) == 1 else {})}


def _is_there(file: Path) -> bool:
    return is_photo(file.name) and os.path.isfile(file)  # noqa: PTH113 - `is_file` raises where the name is too long


def _contents(place: Path) -> tuple[int, int]:
    """How many photos lie directly in a folder, and how many of its sub-folders have some directly in them."""
    # not `entry.is_dir()` nor `Path.is_dir()`: they raise where links go in a circle, or there is no permission
    folders = [
        entry
        for entry in children(place)
        if os.path.isdir(entry) and not entry.name.startswith(".")  # noqa: PTH112
    ]
    return len(photos_in(place)), sum(len(photos_in(folder)) > 0 for folder in folders)


def _sides(records: tuple[Record, ...]) -> tuple[tuple[tuple[int, int], ...], int]:
    """Shorter and longer sides of some photos, evenly from all, and how many cannot be opened; headers alone."""
    step = max(1, -(-len(records) // LOOKED_AT))
    sides, unreadable = [], 0
    for record in records[::step]:
        if not isinstance(record.source, Path):
            continue
        try:
            with open_regular(record.source) as file, Image.open(file, formats=FORMATS) as image:
                sides.append((min(image.size), max(image.size)))
        except Exception:  # Pillow's parsers raise anything on damaged files; `check` says what is wrong with them
            unreadable += 1
    return tuple(sides), unreadable
