"""Survey of the photos of a new project: place, layout, counts of photos and individuals, image sizes."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from siamesekit.config.project.folder_layout import folder_layout
from siamesekit.config.project.table_layout import is_table, known_download, table_beside, table_layout
from siamesekit.config.project.understood import Understood
from siamesekit.config.reader_choice import data_options, reader_of_table
from siamesekit.data.folder_walk import walk
from siamesekit.data.passed_over import sentence_of_pictures
from siamesekit.data.photo_files import content_of
from siamesekit.data.photo_folders import children, photos_in
from siamesekit.data.photo_formats import READ, size_of
from siamesekit.data.reading import read_photos
from siamesekit.data.records import Record
from siamesekit.data.system_files import is_left_alone
from siamesekit.errors import DataError, SiamesekitError
from siamesekit.files.remote_address import RemoteFolder, RemotePhoto, place_of, refuse_address
from siamesekit.files.untrusted import open_regular
from siamesekit.registry import READERS
from siamesekit.registry.problems import is_utf8

LOOKED_AT = 300
"""Maximum number of photos whose size is read, from their headers."""


@dataclass(frozen=True)
class Survey:
    """Photos that were found.

    Attributes:
        reader: name of the reader for the photos.
        option: option of the reader for the place.
        place: folder or table of the photos.
        options: other options of the reader that differ from their defaults.
        records: records of all photos, also those of unknown individuals.
        counts: number of photos of each individual that is known.
        sides: shorter and longer side in pixels of each inspected photo.
        unreadable: number of inspected photos that are not images.
        notes: remarks for the user.
        tree: what was understood, a line for each level of folders or column.
        others: what else the photos could mean, each with the option for it.
    """

    reader: str
    option: str
    place: Path
    options: dict[str, Any]
    records: tuple[Record, ...]
    counts: dict[str, int]
    sides: tuple[tuple[int, int], ...]
    unreadable: int
    notes: tuple[str, ...]
    tree: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def unknown(self) -> int:
        """Number of photos of unknown individuals."""
        return sum(not record.individual for record in self.records)

    @property
    def singletons(self) -> int:
        """Number of individuals with a single photo."""
        return sum(count == 1 for count in self.counts.values())


def locate(folder: Path) -> Path:
    """The folder of a project's photos: the first of `folder`, `photos` and `data` with `INDIVIDUAL/photo.jpg` in it.

    If there is none, it is the last of them with any photos below it.

    Raises:
        DataError: none of these folders contains photos.
    """
    places = [place for place in (folder, folder / "photos", folder / "data") if place.is_dir()]
    contents = {place: _contents(place) for place in places}
    for fewest in (2, 1):
        for place, (_, individuals) in contents.items():
            if individuals >= fewest:
                return place
    pictures = ""
    for place in reversed(contents):
        found = walk(place)
        if found.photos():
            return place
        pictures = pictures or sentence_of_pictures(found.files)
    if pictures:
        raise DataError(f"{folder}: {pictures}")
    raise DataError(
        f"no photos in {folder}, {folder / 'photos'} or {folder / 'data'}: put them at "
        f"{folder / 'photos' / 'INDIVIDUAL' / 'photo.jpg'}, or name their folder: --photos FOLDER"
    )


def survey(place: Path, reader: str | None = None, overrides: Sequence[str] = (), skip_bad: bool = False) -> Survey:
    """Understand the layout of photos, count photos and individuals, and read the sizes of some photos.

    Args:
        place: folder or table of the photos.
        reader: name of the reader; by default it follows from the layout.
        overrides: options of the reader, as `data.KEY=VALUE` strings.
        skip_bad: whether to leave out missing photos, and links that are not followed, instead of an error.

    Raises:
        DataError: there are no photos, they cannot be understood, or no inspected photo can be opened.
        ConfigError: an override is invalid.
    """
    refuse_address(place, "init a table that names the photos, with --set data.root=ADDRESS, or write a config by hand")
    if not is_utf8(place):
        raise DataError(f"{str(place)!a}: its name is not valid UTF-8, which a config needs: rename it")
    given = data_options(overrides)
    reader = given.pop("reader", reader)
    understood = _understood(place, reader, given)
    options = {**understood.options, **_with_paths(understood.reader, given)}
    records = read_photos(understood.reader, {understood.option: understood.place, **options}, skip_bad=skip_bad)
    sides, unreadable = _sides(tuple(records))
    if not sides:
        raise DataError(f"{place}: none of the {unreadable} inspected photos is an image ({', '.join(READ)})")
    notes = [*records.notes, *understood.notes]
    if unreadable:
        notes.insert(
            0, f"{unreadable} of {unreadable + len(sides)} inspected photos are not images: siamesekit check names them"
        )
    counts = dict(sorted(Counter(record.individual for record in records if record.individual).items()))
    return Survey(
        understood.reader,
        understood.option,
        understood.place,
        options,
        tuple(records),
        counts,
        sides,
        unreadable,
        tuple(notes),
        understood.tree,
        understood.others,
    )


def _understood(place: Path, reader: str | None, given: dict[str, Any]) -> Understood:
    """How photos are read: as named, or as their layout suggests.

    Raises:
        DataError: the layout cannot be understood.
    """
    if not place.is_dir() or (reader is None and reader_of_table(place)):
        if reader is None and (place.is_dir() or is_table(place)):
            root = _place(given["root"]) if "root" in given else None
            if isinstance(root, RemoteFolder) or ("photo" in given and "individual" in given):
                return Understood(reader_of_table(place) or "csv", "file", place)
            return table_layout(place, root)
        return _by_name(place, reader or "folder")
    if reader is None and not {"pattern", "groups"} & given.keys():
        found = known_download(place) or table_beside(place)
        if found is not None:
            return found
    elif reader not in (None, "folder"):
        return _by_name(place, str(reader))
    photos = [file.relative_to(place).as_posix() for file in walk(place, bool(given.get("follow_links"))).photos()]
    if not photos or {"pattern", "groups"} & given.keys():
        return Understood("folder", "root", place)  # the reader's error says more
    return folder_layout(place, photos)


def _with_paths(reader: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options with paths instead of texts where the reader takes paths."""
    shown = {option.name: option.shown for option in READERS.get(reader).options}
    return {
        key: _place(value) if isinstance(value, str) and ("Path" in shown[key] or "Place" in shown[key]) else value
        for key, value in given.items()
        if key in shown
    } | {key: value for key, value in given.items() if key not in shown}


def _place(text: Any) -> Path | RemoteFolder:
    """A folder of this machine or another one.

    Raises:
        DataError: the text is an address that cannot be used.
    """
    try:
        return place_of(text)
    except ValueError as error:
        raise DataError(f"root: {error}") from None


def _by_name(place: Path, reader: str) -> Understood:
    """Photos with a reader that is named."""
    needed = [option.name for option in READERS.get(reader).options if option.required]
    option = needed[0] if needed else ("root" if place.is_dir() else "file")
    return Understood(reader, option, place)


def news(found: Survey) -> list[str]:
    """The findings of a survey, one line each."""
    counts = sorted(found.counts.values())
    short, long = sorted(side for side, _ in found.sides), sorted(side for _, side in found.sides)
    several = f", {found.singletons} of them with a single photo" if found.singletons else ""
    middle = "" if counts[0] == counts[-1] else f", median {median(counts):g}"
    known = len(found.records) - found.unknown
    apart = f"; {found.unknown} photos of unknown individuals, which are kept apart" if found.unknown else ""
    return [
        f"{known} photos of {len(counts)} individuals{several}{apart}",
        f"{_span(counts)} photos each{middle}",
        f"shorter sides of {_span(short)} pixels, longer sides of {_span(long)} ({len(found.sides)} photos inspected)",
    ]


def _span(ordered: list[int]) -> str:
    first, last = ordered[0], ordered[-1]
    return f"{first}" if first == last else f"{first} to {last}"


def _contents(place: Path) -> tuple[int, int]:
    """Number of photos directly in a folder, and number of its sub-folders with photos directly in them."""
    # `entry.is_dir()` and `Path.is_dir()` raise on circular links and on missing permissions
    folders = [
        entry
        for entry in children(place)
        if os.path.isdir(entry) and not is_left_alone(entry.name, True)  # noqa: PTH112
    ]
    return len(photos_in(place)), sum(len(photos_in(folder)) > 0 for folder in folders)


def _sides(records: tuple[Record, ...]) -> tuple[tuple[tuple[int, int], ...], int]:
    """Shorter and longer sides of evenly selected photos, and the number of unreadable ones; reads only headers."""
    step = max(1, -(-len(records) // LOOKED_AT))
    sides, unreadable = [], 0
    for record in records[::step]:
        if not isinstance(record.source, Path | RemotePhoto):
            continue
        try:
            size = _size(record.source)
            sides.append((min(size), max(size)))
        except SiamesekitError:  # a server that does not serve
            raise
        except Exception:  # Pillow raises any error on damaged files; `check` explains them
            unreadable += 1
    return tuple(sides), unreadable


def _size(photo: Path | RemotePhoto) -> tuple[int, int]:
    """Width and height of a photo; of a file, only its header is read."""
    if isinstance(photo, RemotePhoto):
        with content_of(photo) as content:
            return size_of(io.BytesIO(content))
    with open_regular(photo) as file:
        return size_of(file)
