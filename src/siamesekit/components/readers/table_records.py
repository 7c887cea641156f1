"""Records of the rows of a table, with all rows that cannot be used told together."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from siamesekit.components.readers.boxes import box_of
from siamesekit.components.readers.columns import Columns
from siamesekit.components.readers.tables import SHOWN_PROBLEMS, Table, counted, refuse
from siamesekit.data.dates import ACCEPTED_DATES, moment_of
from siamesekit.data.folder_walk import sentence_of_links
from siamesekit.data.photo_listing import LinkOutsideError, PhotoListing
from siamesekit.data.records import Attributes, Box, Record, Records
from siamesekit.data.table_shards import folder_of_table
from siamesekit.data.unknown_names import UnknownNames, sentence_of_unknown
from siamesekit.data.unusable import UnusablePhoto, UnusablePhotosError
from siamesekit.errors import DataError, MissingDataError
from siamesekit.files.places import Place
from siamesekit.files.remote_address import RemoteFolder, RemotePhoto, without_secrets
from siamesekit.wording import did_you_mean, first_lines, first_of, line_of_name, near

_NO_DATE = frozenset(("NA", "N/A", "NaN", "nan", "NaT", "None", "null"))
"""What programs write in place of a date that they do not know."""
_SHOWN = 60
"""Maximum number of characters of a cell that are shown."""
_MOST_SHARED = 200_000
"""Maximum number of different texts that are kept once for all rows."""


@dataclass(frozen=True)
class Rules:
    """How the cells of a table are understood.

    Attributes:
        unknown: texts that stand for an unknown individual.
        leave_out: individuals whose rows are left out.
        relative: whether boxes are shares of the photo's sides, instead of pixels.
        margin: share of a box's sides that is added on each side.
        follow_links: whether photos behind links that lead out of the folder of photos are read.
    """

    unknown: Sequence[str]
    leave_out: Sequence[str] = ()
    relative: bool = False
    margin: float = 0.0
    follow_links: bool = False


def place_of_photos(table: Path, root: Place | None) -> Place:
    """The folder of a table's photos, perhaps on another machine; by default the folder of the table.

    Raises:
        MissingDataError: there is no such folder on this machine.
    """
    return root if isinstance(root, RemoteFolder) else folder_of_photos(table, root)


def folder_of_photos(table: Path, root: Path | None) -> Path:
    """The folder of a table's photos, by default the folder of the table.

    Raises:
        MissingDataError: there is no such folder.
    """
    folder = (folder_of_table(table) if root is None else root).absolute()
    folder = Path(os.path.normpath(folder))  # links stay links
    if not folder.is_dir():
        raise MissingDataError(f"there is no folder {folder}: put the photos of {table} there, or set data.root")
    return folder


def records_of(table: Table, columns: Columns, folder: Place, rules: Rules) -> Records:
    """One record per row of a table, in its order.

    A record's name is its photo's path below the folder. If several rows have the same photo with different boxes, the
    names of the second and further ones end in `#2`, `#3`, …, in the order of all rows of the table.

    Raises:
        UnusablePhotosError: rows name photos that do not exist, or are behind links that lead out of the folder; all
            other rows are valid.
        DataError: a column is missing, there are no rows, an individual of `leave_out` is in no row, or rows are
            invalid. The message counts all such rows and shows the first ones.
    """
    reading = _Reading(table, columns, folder, rules)
    with _no_garbage():
        for number, cells in table.rows:
            reading.read(number, cells)
    reading.refuse_invalid()
    for name in rules.leave_out:
        if name not in reading.left_out:
            known = near(name, reading.individuals)
            raise DataError(f"leave_out: {table.name} has no individual {name!r}{known}")
    records = Records(reading.records, reading.notes())
    reading.refuse_absent(records)
    if not records:
        raise DataError(f"{table.name} has a header but no photos")
    return records


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Pause the search for reference cycles, which takes a third of the time while millions of objects are made."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Reading:
    """The records and problems of the rows that were read so far."""

    def __init__(self, table: Table, columns: Columns, folder: Place, rules: Rules) -> None:
        self.records: list[Record] = []
        self.problems: list[str] = []
        self.left_out: Counter[str] = Counter()
        self.unnamed: Counter[str] = Counter()
        self.table, self.columns, self.folder, self.rules = table, columns, folder, rules
        self.places = places = columns.in_table(table)
        self.date = dict(zip(places.names, places.attributes, strict=True)).get("date")
        self.unknown, self.leave_out = UnknownNames(rules.unknown), frozenset(rules.leave_out)
        self.listing = None if isinstance(folder, RemoteFolder) else PhotoListing(folder, rules.follow_links)
        self.root = None if rules.follow_links or isinstance(folder, RemoteFolder) else folder
        self.absent: list[UnusablePhoto] = []
        self.links: list[tuple[str, str]] = []
        self.rows: dict[str | tuple[str | float, ...], int] = {}
        self.animals: dict[str, int] = {}
        self.individuals: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.files: dict[str, Path] = {}
        self.dates: set[str] = set()

    def read(self, number: int, cells: list[str]) -> None:
        """Read a row: one more record, or problems, or an individual that is left out."""
        try:
            record = self._record(number, cells)
        except LinkOutsideError as error:
            link, target = map(str, error.args)
            self.links.append((link, target))
            self.absent.append(
                UnusablePhoto(self.table.place(number), f"behind the link {link} to {target}", "set data.follow_links")
            )
        except ValueError as error:
            self.problems += [f"{self.table.place(number)}: {what}" for what in error.args]
        else:
            if record is not None:
                self.records.append(record)

    def refuse_invalid(self) -> None:
        """Refuse rows that are invalid, beside those whose photos do not exist.

        Raises:
            DataError: there are such rows.
        """
        if len(self.problems) > len(self.absent) - len(self.links):
            refuse([*self.problems, *self._where()], self.table.name, len(self.problems))

    def refuse_absent(self, records: Records) -> None:
        """Refuse rows whose photos do not exist, or are behind links that are not followed.

        Raises:
            UnusablePhotosError: there are such rows; it has the records of the others.
        """
        if not self.absent:
            return
        lines = [*first_lines(self.problems, SHOWN_PROBLEMS), *self._where()]
        message = f"{counted(self.problems)} in {self.table.name}"
        if self.links:
            message = f"{self.table.name}: {sentence_of_links(len(self.links), str(self.folder), *self.links[0])}"
        raise UnusablePhotosError(message, lines, records, self.absent)

    def notes(self) -> list[str]:
        """How the rows were understood, in sentences."""
        out = self.left_out
        return [
            *self.table.notes,
            *(self.listing.notes() if self.listing is not None else []),
            *([f"left out as data.leave_out says: {out.total()} photos of {first_of(list(out), 3)}"] if out else []),
            *sentence_of_unknown(self.unnamed),
        ]

    def _where(self) -> list[str]:
        """Where photos were looked for, if none was found."""
        if self.records or self.links or not self.problems:
            return []
        return [f"photos were looked for in {self.folder}: if they are elsewhere, set data.root"]

    def _record(self, number: int, cells: list[str]) -> Record | None:
        """The record of a row; None if its individual is left out.

        Raises:
            ValueError: what is wrong with the row, one argument per problem.
        """
        places, width = self.places, len(self.table.header)
        if len(cells) > width:
            raise ValueError(f"{len(cells)} cells under {width} columns: quote a cell that holds the delimiter")
        cells += [""] * (width - len(cells))
        photo = cells[places.photo]
        individual = "" if places.individual is None else cells[places.individual]
        group = "" if places.group is None else cells[places.group]
        if not photo or not (group or places.group is None) or not (individual or "" in self.unknown):
            raise ValueError(*self._missing(photo, individual, group))
        file, path = self._found(photo)
        name = self._name(file) if places.box else file
        individual = self.individuals.setdefault(individual, individual)
        if individual in self.leave_out:
            self.left_out[individual] += 1
            return None
        box = self._box(cells)
        first = self.rows.setdefault(file if box is None else (file, *_numbers(box)), number)
        if first != number:
            same = "" if box is None else " with this box"
            raise ValueError(f"photo {line_of_name(file)}{same} is already on {self.table.place(first)}")
        if self.date is not None:
            self._check_date(cells, self.date)
        if path is None:
            raise self._absent(photo, number)
        if individual in self.unknown:
            self.unnamed[individual] += 1
            individual = ""
        return Record(
            name,
            individual,
            path if isinstance(path, RemotePhoto) else self._file(path),
            group,
            self.root,
            box,
            Attributes(places.names, self._shared([cells[place] for place in places.attributes])),
        )

    def _found(self, photo: str) -> tuple[str, str | RemotePhoto | None]:
        """The path of a photo below the folder, and where it is; None if it is not there.

        Whether there is a photo on another machine shows when it is read.

        Raises:
            ValueError: the photo is outside the folder.
        """
        if isinstance(self.folder, RemoteFolder):
            remote = self.folder.photo(photo)
            return remote.below, remote
        assert self.listing is not None
        try:
            path, exists = self.listing.find(photo)
        except ValueError:
            raise ValueError(f"photo {line_of_name(without_secrets(photo))} is outside {self.folder}") from None
        return path[len(self.listing.inside) :].replace(os.sep, "/"), path if exists else None

    def _absent(self, photo: str, number: int) -> ValueError:
        """The error about a photo that does not exist."""
        told = line_of_name(without_secrets(photo))
        if "://" in photo:
            what = f"{told} is on another machine, and no root there was given"
            mend = "set data.root to the address below which the photos are, or download it and write its path"
        else:
            assert self.listing is not None
            alike = self.listing.with_suffix(photo) if len(self.absent) < SHOWN_PROBLEMS else []
            what, mend = f"no such photo: {told}{did_you_mean(alike)}", "copy it there, or correct the table"
        self.absent.append(UnusablePhoto(self.table.place(number), what, mend))
        return ValueError(f"{what}: {mend}" if "://" in photo else what)

    def _missing(self, photo: str, individual: str, group: str) -> list[str]:
        columns, needs_name = self.columns, "" not in self.unknown
        return [
            *([] if photo else [f"no photo in column {columns.photo!r}"]),
            *([] if individual or not needs_name else [f"no individual in column {columns.individual!r}"]),
            *([] if group or self.places.group is None else [f"no group in column {columns.group!r}"]),
        ]

    def _box(self, cells: list[str]) -> Box | None:
        places = self.places
        if not places.box:
            return None
        rotation = "" if places.rotation is None else cells[places.rotation]
        return box_of(
            " ".join([cells[place] for place in places.box]), self.rules.relative, rotation, self.rules.margin
        )

    def _check_date(self, cells: list[str], place: int) -> None:
        """Check the date of a row; a program's word for an unknown date is replaced by an empty cell."""
        date = cells[place]
        if date in _NO_DATE:
            cells[place] = ""
        elif date and date not in self.dates:
            if moment_of(date) is None:
                raise ValueError(f"date {date[:_SHOWN]!r} is none of the accepted forms ({ACCEPTED_DATES})")
            if len(self.dates) < _MOST_SHARED:
                self.dates.add(date)

    def _file(self, path: str) -> Path:
        """The file of a photo; the animals on one photo share it, where boxes tell them apart."""
        if not self.places.box:
            return Path(path)
        if path not in self.files:
            self.files[path] = Path(path)
        return self.files[path]

    def _name(self, photo: str) -> str:
        """The name of the next animal on a photo."""
        number = self.animals[photo] = self.animals.get(photo, 0) + 1
        name = photo
        while number > 1 and (name := f"{photo}#{number}") in self.animals:
            number += 1
        if name != photo:
            self.animals[name] = 1
        return name

    def _shared(self, texts: list[str]) -> tuple[str, ...]:
        """Texts as a tuple; equal texts of all rows are one object."""
        seen = self.texts
        if len(seen) < _MOST_SHARED:
            return tuple([seen.setdefault(text, text) for text in texts])
        return tuple([seen.get(text, text) for text in texts])


def _numbers(box: Box) -> tuple[float, ...]:
    return box.x, box.y, box.width, box.height, box.rotation
