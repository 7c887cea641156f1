"""A table of photos: its reader, its columns, and the folder of its photos."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from siamesekit.config.project.table_columns import (
    COLUMN_NAMES,
    TableColumns,
    columns_of,
    individuals_in,
    lacks_header,
    share_found,
)
from siamesekit.config.project.table_head import TableHead, refuse_without_library, table_head
from siamesekit.config.project.understood import Understood, setting, some
from siamesekit.config.reader_choice import (
    READER_OF,
    about_detections,
    is_coco,
    is_megadetector,
    json_content,
    reader_of_table,
)
from siamesekit.data.photo_folders import folders_in, listed
from siamesekit.data.photo_listing import PhotoListing
from siamesekit.data.table_shards import folder_of_table
from siamesekit.errors import DataError
from siamesekit.wording import first_of

BEST_NAMES = ("metadata", "train", "annotations", "individuals", "photos", "labels", "data")
"""Names of tables beside photos, in order of preference."""
NO_TABLES = ("submission", "left-out", "embedding", "matches", "clusters")
"""Parts of the names of tables that are no tables of photos and individuals."""
NAME_COLUMNS = f"{setting('photo', 'COLUMN')} {setting('individual', 'COLUMN')}"
MOST_FOLDERS, MOST_TABLES, MOST_COLUMNS = 300, 20, 40
FEWEST_FOUND = 0.5
"""Least share of its photos that a table beside photos has there."""
WHALES = {
    "kaggle-whales": ({"Image", "Id"}, "train"),
    "happywhale": ({"image", "species", "individual_id"}, "train_images"),
    "noaa-right-whale": ({"Image", "whaleID"}, "imgs"),
}
"""Readers of downloads of Kaggle: columns of the table `train.csv`, and the folder of the photos."""
WILDBOOK = re.compile(r"encounter\.mediaasset\.?0", re.IGNORECASE)
"""The first column of photos in a sheet for an import into Wildbook."""
CAMTRAP = ("media.csv", "observations.csv", "deployments.csv")


def is_table(place: Path) -> bool:
    """Whether the name of a file is that of a table of photos."""
    return place.suffix.lower() in READER_OF or place.suffix.lower() == ".json"


def known_download(place: Path) -> Understood | None:
    """A folder as Kaggle or Camtrap DP give it; None if it is none."""
    if all((place / name).is_file() for name in CAMTRAP):
        return Understood("camtrap-dp", "root", place, tree=(f"{place.name}/: a camera-trap data package",))
    train = place / "train.csv"
    head = table_head(train) if train.is_file() else None
    for reader, (columns, photos) in WHALES.items():
        if head is not None and columns <= set(head.header) and (place / photos).is_dir():
            tree = (
                f"{place.name}/: a download of Kaggle, reader {reader}",
                f"  train.csv: {some(head.header)}",
                f"  {photos}/: the photos",
            )
            return Understood(reader, "root", place, tree=tree)
    return None


def table_beside(place: Path, root: Path | None = None) -> Understood | None:
    """The table of photos in a folder, whose photos are in the folder or below; None without one."""
    files = [
        Path(entry.path) for entry in listed(place) if is_table(Path(entry.name)) and not entry.name.startswith(".")
    ]
    files = [file for file in files if not any(word in file.name.lower() for word in NO_TABLES)][:MOST_TABLES]
    files.sort(
        key=lambda file: BEST_NAMES.index(file.stem.lower()) if file.stem.lower() in BEST_NAMES else len(BEST_NAMES)
    )
    found = [each for each in (_usable(file, root) for file in files) if each is not None]
    if not found:
        return None
    first, *rest = found
    others = [
        *first.others,
        *(f"another table may name the photos: --photos {each.place}" for each in rest[:2]),
        f"the folders may name the individuals: --photos {place} --reader folder",
    ]
    note = f"found the table {first.place.name} beside the photos, and used it"
    return Understood(
        first.reader, first.option, first.place, first.options, first.tree, tuple(others), (*first.notes, note)
    )


def _usable(file: Path, root: Path | None) -> Understood | None:
    """How a table is read; None if it names no photos and individuals."""
    try:
        found = table_layout(file, root)
    except DataError:
        return None
    return found if found.tree and found.found >= FEWEST_FOUND else None


def table_layout(file: Path, root: Path | None = None) -> Understood:
    """How a table of photos is read.

    Args:
        file: the table.
        root: the folder of its photos, if known.

    Raises:
        DataError: its columns cannot be told, or none of its photos is found.
    """
    if file.suffix.lower() == ".json":
        return _json_layout(file, root)
    refuse_without_library(file)
    reader, head = str(reader_of_table(file)), table_head(file)
    if head is None or not head.rows:
        return Understood(reader, "file", file)  # the reader's error says more
    if found := _wildbook(head, root):
        return found
    share, where, columns = _place(head, root)
    if columns is None or lacks_header(head, PhotoListing(where.absolute())):
        raise _no_columns(head, where)
    options: dict[str, Any] = dict(columns.options)
    if reader == "csv" and {"identity", "path"} <= set(head.header) and columns.photo == "path":
        reader, options = "wildlife", {}
    if root is None and where != folder_of_table(file):
        options["root"] = where
    who = individuals_in(head, columns.individual)
    tree = [
        f"{file.name}, read by {reader}",
        f"  {columns.photo!r}: the photos, in {where}",
        f"  {columns.individual!r}: the individuals, {some(sorted(who))}",
        *([f"  {_quoted(columns.box)}: boxes (x y width height), to which photos are cropped"] if columns.box else []),
        *([f"  {columns.split!r}: the parts of the split"] if columns.split else []),
    ]
    others = (
        [f"other columns: {setting('photo', 'COLUMN')} {setting('individual', 'COLUMN')}"] if columns.guessed else []
    )
    if columns.box:
        off = setting("crop", "whole") if reader == "wildlife" else setting("box", "")
        others.append(f"photos are to be used whole, without their boxes: {off}")
    notes = []
    if columns.guessed:
        own = {"photo": columns.photo, "individual": columns.individual}
        taken = " and ".join(f"column {own[each]!r} is the {each}" for each in columns.guessed)
        notes.append(f"guessed from the cells: {taken}; if this is wrong, change it in the config")
    return Understood(reader, "file", file, options, tuple(tree), tuple(others), tuple(notes), share)


def _wildbook(head: TableHead, root: Path | None) -> Understood | None:
    """How a sheet for an import into Wildbook is read; None if it is none."""
    asset = next((name for name in head.header if WILDBOOK.fullmatch(name)), None)
    if asset is None:
        return None
    shares = [
        (share_found(head, asset, PhotoListing(each.absolute())), -number, each)
        for number, each in enumerate([root] if root else _folders_around(head.file.parent))
    ]
    share, _, where = max(shares)
    tree = (f"{head.file.name}: a sheet for an import into Wildbook", f"  {asset!r}, …: the photos, in {where}")
    options = {} if where == head.file.parent or root is not None else {"root": where}
    return Understood("wildbook", "file", head.file, options, tree, found=share)


def _place(head: TableHead, root: Path | None) -> tuple[float, Path, TableColumns | None]:
    """The share of a table's photos that are found, the folder in which most are, and the table's columns."""
    home = folder_of_table(head.file)
    best: tuple[float, Path, TableColumns | None] = (-1.0, root or home, None)
    for folder in [root] if root is not None else _folders_around(home):
        listing = PhotoListing(folder.absolute())
        columns = columns_of(head, listing)
        share = -0.5 if columns is None else share_found(head, columns.photo, listing)
        if share > best[0]:
            best = share, folder, columns
        if share == 1.0:
            break
    return best


def _folders_around(folder: Path) -> Iterator[Path]:
    """A folder, the two levels of folders in it, and the folder that it is in."""
    yield folder
    above, count = [folder], 0
    for _ in range(2):
        below = [each for one in above for each in folders_in(one)]
        for each in below:
            count += 1
            if count > MOST_FOLDERS:
                return
            yield each
        above = below
    yield folder.parent


def _no_columns(head: TableHead, where: Path) -> DataError:
    """The error about a table whose columns cannot be told."""
    file = head.file
    if lacks_header(head, PhotoListing(where.absolute())):
        return DataError(f"{file} has no header, because its first line names a photo: add a line: photo,individual")
    names = "; ".join(f"{option}: {', '.join(columns)}" for option, columns in COLUMN_NAMES.items())
    return DataError(
        f"{file}: it cannot be told which columns have the photos and the individuals; its columns: "
        f"{first_of(head.header, MOST_COLUMNS)}; name them: {NAME_COLUMNS}; or rename them to known names ({names})"
    )


def _json_layout(file: Path, root: Path | None) -> Understood:
    """How annotations in COCO's format, or results of MegaDetector, are read.

    Raises:
        DataError: the file is neither, or results of MegaDetector have no table beside them.
    """
    if is_coco(file):
        images = json_content(file)["images"]
        names = [str(each.get("file_name", "")) for each in images[:50] if isinstance(each, dict)]
        head = TableHead(file, ("file_name",), tuple((name,) for name in names))
        shares = [(share_found(head, "file_name", PhotoListing(each.absolute())), -number, each)
                  for number, each in enumerate([root] if root else _folders_around(file.parent))]  # fmt: skip
        where = max(shares)[2]
        lines = [f"{file.name}: annotations in COCO's format, cropped to their boxes", f"  the photos, in {where}"]
        others = (f"photos are to be used whole, without their boxes: {setting('crop', 'whole')}",)
        return Understood("coco", "file", file, {} if where == file.parent else {"root": where}, tuple(lines), others)
    if not is_megadetector(file):
        raise DataError(
            f"{file}: expected annotations in COCO's format, or results of MegaDetector; for other tables: "
            f"{', '.join(READER_OF)}"
        )
    for table in sorted(each for each in file.parent.iterdir() if each.suffix.lower() in (".csv", ".tsv")):
        found = _usable(table, root)
        if found is not None and found.reader == "csv":
            options = {key: value for key, value in found.options.items() if key not in ("box", "box_units")}
            if options.get("root", file.parent) != file.parent and _lie_below(file):
                options["detections_root"] = file.parent
            tree = (f"{table.name}, with the boxes of MegaDetector in {file.name}", *found.tree[1:3])
            return Understood(
                "megadetector", "file", table, {**options, "detections": file}, tree, found.others, found.notes
            )
    raise DataError(
        f"{about_detections(file)}; there is no such table beside it; or use the photos whole: --photos {file.parent}"
    )


def _lie_below(file: Path) -> bool:
    """Whether photos of results of MegaDetector are found from the folder of the file."""
    images = [str(each.get("file", "")) for each in json_content(file)["images"][:50] if isinstance(each, dict)]
    head = TableHead(file, ("file",), tuple((name,) for name in images))
    return share_found(head, "file", PhotoListing(file.parent.absolute())) >= FEWEST_FOUND


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names))
