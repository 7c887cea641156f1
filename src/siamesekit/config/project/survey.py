"""Survey of the photos of a new project: place, counts of photos and individuals, image sizes."""

from __future__ import annotations

import csv
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from siamesekit.config.toml import dump_toml
from siamesekit.data.passed_over import passed_over
from siamesekit.data.photo_folders import children, is_photo, photos_in
from siamesekit.data.photo_formats import READ, size_of
from siamesekit.data.records import Record
from siamesekit.errors import DataError
from siamesekit.files.untrusted import open_regular
from siamesekit.registry import READERS
from siamesekit.registry.problems import is_utf8

LOOKED_AT = 300
"""Maximum number of photos whose size is read, from their headers."""
GUESSED_BY, LONGEST_ROW = 50, 1 << 20
"""Rows of a table to inspect if the header is unknown, and maximum bytes of a row."""
COLUMN_NAMES = {
    "photo": ("photo", "image", "file", "filename", "file_name", "image_path", "path"),
    "individual": ("individual", "individual_id", "individual_name", "identity", "id", "name", "label", "class"),
}
"""Known names of a table's columns, case-insensitive, in order of preference."""


@dataclass(frozen=True)
class Survey:
    """Photos that were found.

    Attributes:
        reader: name of the reader for the photos.
        option: option of the reader for the place.
        place: folder or table of the photos.
        options: other options of the reader that differ from their defaults.
        records: records of all photos.
        counts: number of photos of each individual.
        sides: shorter and longer side in pixels of each inspected photo.
        unreadable: number of inspected photos that are not images.
        notes: remarks for the user.
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
        """Number of individuals with a single photo."""
        return sum(count == 1 for count in self.counts.values())


def is_table(place: Path) -> bool:
    """Whether the name of a file is that of a table of photos."""
    return place.suffix.lower() == ".csv"


def locate(folder: Path) -> Path:
    """The folder of a project's photos: the first of `folder`, `photos` and `data` with `INDIVIDUAL/photo.jpg` in it.

    Raises:
        DataError: none of these folders contains photos of individuals.
    """
    places = [place for place in (folder, folder / "photos", folder / "data") if place.is_dir()]
    contents = {place: _contents(place) for place in places}
    for fewest in (2, 1):
        for place, (_, individuals) in contents.items():
            if individuals >= fewest:
                return place
    for place, (loose, _) in contents.items():
        if loose:
            raise DataError(
                f"{place}: {loose} photos lie directly in it: give each individual a folder, "
                f"{place / 'INDIVIDUAL' / 'photo.jpg'}"
            )
    raise DataError(
        f"no photos in {folder}, {folder / 'photos'} or {folder / 'data'}: put them at "
        f"{folder / 'photos' / 'INDIVIDUAL' / 'photo.jpg'}, or name their folder: --photos FOLDER"
    )


def survey(place: Path) -> Survey:
    """Count photos and individuals, and read the sizes of some photos.

    Raises:
        DataError: there are no photos, or no inspected photo can be opened.
    """
    if not is_utf8(place):
        raise DataError(f"{str(place)!a}: its name is not valid UTF-8, which a config needs: rename it")
    reader = "csv" if is_table(place) else "folder"
    option = next(option.name for option in READERS.get(reader).options if option.required)
    options, guessed = _columns(place) if reader == "csv" else ({}, ())
    try:
        records = tuple(READERS.build(reader, {option: str(place), **options}, seed=0))
    except DataError as error:
        if "no column" not in str(error):
            raise
        names = "; ".join(f"{option}: {', '.join(columns)}" for option, columns in COLUMN_NAMES.items())
        raise DataError(
            f"{error}; rename its columns to known names ({names}), or write the config by hand: "
            f'[data] with reader = "csv", {dump_toml({option: place.name}).strip()}, '
            'photo = "COLUMN", individual = "COLUMN"'
        ) from None
    sides, unreadable = _sides(records)
    if not sides:
        raise DataError(f"{place}: none of the {unreadable} inspected photos is an image ({', '.join(READ)})")
    notes = []
    if unreadable:
        notes.append(
            f"{unreadable} of {unreadable + len(sides)} inspected photos are not images: siamesekit check names them"
        )
    if guessed:
        taken = " and ".join(f"column {options[each]!r} is the {each}" for each in guessed)
        notes.append(f"guessed from the cells: {taken}; if this is wrong, change it in the config")
    if reader == "folder":
        others = passed_over(place)
        if others.loose:
            notes.append(
                f"{others.loose} photos directly in {place} are not in a folder of an individual and are left out"
            )
        notes += replace(others, loose=0).sentences()
        if all(record.name.count("/") > 1 for record in records):
            notes.append(
                f"all photos are deeper than {place}/INDIVIDUAL/photo.jpg: if the individuals' folders are one level "
                "further down, pass the folder that contains them as --photos"
            )
    counts = dict(sorted(Counter(record.individual for record in records).items()))
    return Survey(reader, option, place, options, records, counts, sides, unreadable, tuple(notes))


def news(found: Survey) -> list[str]:
    """The findings of a survey, one line each."""
    counts = sorted(found.counts.values())
    short, long = sorted(side for side, _ in found.sides), sorted(side for _, side in found.sides)
    several = f", {found.singletons} of them with a single photo" if found.singletons else ""
    middle = "" if counts[0] == counts[-1] else f", median {median(counts):g}"
    return [
        f"{len(found.records)} photos of {len(counts)} individuals{several}",
        f"{_span(counts)} photos each{middle}",
        f"shorter sides of {_span(short)} pixels, longer sides of {_span(long)} ({len(found.sides)} photos inspected)",
    ]


def _span(ordered: list[int]) -> str:
    first, last = ordered[0], ordered[-1]
    return f"{first}" if first == last else f"{first} to {last}"


def _columns(table: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """The options of reader `csv` found in a table's header, and the names of those guessed from its cells.

    If columns remain unknown, the reader raises the error.
    """
    try:
        with open_regular(table) as file:
            lines = [file.readline(LONGEST_ROW).decode("utf-8-sig", "replace") for _ in range(1 + GUESSED_BY)]
        line = lines[0]
        delimiter = max(",;\t|", key=line.count)
        header, *rows = [[cell.strip() for cell in row] for row in csv.reader(filter(None, lines), delimiter=delimiter)]
    except (OSError, ValueError, csv.Error):
        return {}, ()  # the reader's error says more
    options = {} if delimiter == "," else {"delimiter": delimiter}
    for option, names in COLUMN_NAMES.items():
        found = next((column for name in names for column in header if column.lower() == name), option)
        if found != option:
            options[option] = found
    lacking = [option for option in COLUMN_NAMES if option not in options and option not in header]
    guess = _guess(header, rows, table.parent) if lacking else {}
    if lacking and set(lacking) <= set(guess):
        return options | {option: guess[option] for option in lacking}, tuple(lacking)
    return options, ()


def _guess(header: list[str], rows: list[list[str]], folder: Path) -> dict[str, str]:
    """Guess the columns of photos and individuals from the cells of a table.

    The photos' column has names of existing files. The individuals' column is the only other column, or the only one
    with repeated texts.
    """
    columns = {name: [row[place] for row in rows if place < len(row)] for place, name in enumerate(header)}
    photos = [name for name, cells in columns.items() if cells and all(_is_there(folder / cell) for cell in cells)]
    if len(photos) != 1:
        return {}
    others = [name for name in header if name not in photos]
    repeated = [
        name
        for name in others
        if 1 < len(set(columns[name])) < len(columns[name])
        and not all(cell.replace(".", "").isdecimal() for cell in columns[name])
    ]
    chosen = others if len(others) == 1 else repeated
    return {"photo": photos[0], **({"individual": chosen[0]} if len(chosen) == 1 else {})}


def _is_there(file: Path) -> bool:
    return is_photo(file.name) and os.path.isfile(file)  # noqa: PTH113 - `is_file` raises on long names


def _contents(place: Path) -> tuple[int, int]:
    """Number of photos directly in a folder, and number of its sub-folders with photos directly in them."""
    # `entry.is_dir()` and `Path.is_dir()` raise on circular links and on missing permissions
    folders = [
        entry
        for entry in children(place)
        if os.path.isdir(entry) and not entry.name.startswith(".")  # noqa: PTH112
    ]
    return len(photos_in(place)), sum(len(photos_in(folder)) > 0 for folder in folders)


def _sides(records: tuple[Record, ...]) -> tuple[tuple[tuple[int, int], ...], int]:
    """Shorter and longer sides of evenly selected photos, and the number of unreadable ones; reads only headers."""
    step = max(1, -(-len(records) // LOOKED_AT))
    sides, unreadable = [], 0
    for record in records[::step]:
        if not isinstance(record.source, Path):
            continue
        try:
            with open_regular(record.source) as file:
                size = size_of(file)
            sides.append((min(size), max(size)))
        except Exception:  # Pillow raises any error on damaged files; `check` explains them
            unreadable += 1
    return tuple(sides), unreadable
