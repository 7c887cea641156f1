"""Which columns of a table are the photos, the individuals, the boxes and the parts of a split."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from siamesekit.config.project.table_head import TableHead
from siamesekit.data.photo_listing import LinkOutsideError, PhotoListing
from siamesekit.data.splits.column import WORDS
from siamesekit.data.unknown_names import UNKNOWN, UnknownNames

COLUMN_NAMES = {
    "photo": (
        "photo", "image", "file", "filename", "file_name", "image_path", "image_file", "photo_path", "path", "filepath",
        "image_name", "photo_name", "encounter.mediaAsset0",
    ),
    "individual": (
        "individual", "individual_id", "individual_name", "identity", "animal_id", "animal", "whale_id", "id", "name",
        "label", "class", "encounter.individualID", "markedIndividual.individualID",
    ),
}  # fmt: skip
"""Known names of a table's columns, in order of preference; case, spaces and underscores do not count."""
BOXES = (("bbox",), ("box",), ("bounding_box",), ("x", "y", "w", "h"), ("x", "y", "width", "height"),
         ("bbox_x", "bbox_y", "bbox_w", "bbox_h"), ("bbox_x", "bbox_y", "bbox_width", "bbox_height"),
         ("left", "top", "width", "height"))  # fmt: skip
"""Columns of boxes: left edge, upper edge, width, height."""
SPLITS = ("split", "subset", "partition", "set", "part")
OTHER_IDS = frozenset(
    {
        "imageid", "photoid", "fileid", "mediaid", "annotationid", "bboxid", "siteid", "locationid", "speciesid",
        "encounterid", "eventid", "sightingid", "deploymentid", "sequenceid", "seqid", "userid", "cameraid",
        "categoryid",
    }
)  # fmt: skip
"""Columns that end in `id`, and are not those of individuals."""
NUMBER = r"[+-]?\d+(?:[.,]\d+)?(?:e[+-]?\d+)?"


@dataclass(frozen=True)
class TableColumns:
    """What columns of a table are.

    Attributes:
        options: options of the table's reader that name them, if they differ from the defaults.
        photo: column of the photos.
        individual: column of the individuals.
        box: columns of the boxes; empty without boxes.
        split: column of the parts of a split; empty without one.
        guessed: the options that are guessed from the cells.
    """

    photo: str
    individual: str
    options: Mapping[str, object] = field(default_factory=dict)
    box: tuple[str, ...] = ()
    split: str = ""
    guessed: tuple[str, ...] = ()


def columns_of(head: TableHead, listing: PhotoListing) -> TableColumns | None:
    """What columns of a table are; None if those of photos and individuals cannot be told.

    Args:
        head: the beginning of the table.
        listing: a folder of photos.
    """
    named = {option: name for option in COLUMN_NAMES if (name := _known(head.header, option))}
    lacking = [option for option in COLUMN_NAMES if option not in named]
    if lacking:
        guess = _guess(head, listing)
        if not set(lacking) <= set(guess):
            return None
        named |= {option: guess[option] for option in lacking}
    options: dict[str, object] = {option: name for option, name in named.items() if option != name}
    box, units = _boxes(head)
    if box:
        options["box"] = box[0] if len(box) == 1 else list(box)
        options |= {"box_units": "relative"} if units == "relative" else {}
    splits = [column for name in SPLITS if (column := _column(head.header, name)) and _is_split(head, column)]
    split = splits[0] if splits else ""
    if split and split != "split":
        options["split"] = split
    return TableColumns(named["photo"], named["individual"], options, box, split, tuple(lacking))


def share_found(head: TableHead, photo: str, listing: PhotoListing, most: int = 50) -> float:
    """Share of the first photos of a table that are in a folder."""
    cells = [cell for cell in head.column(photo) if cell][:most]
    return sum(is_there(cell, listing) for cell in cells) / max(1, len(cells))


def is_there(cell: str, listing: PhotoListing) -> bool:
    """Whether a cell names a photo in a folder, also one behind a link."""
    try:
        return listing.find(cell)[1]
    except LinkOutsideError:
        return True
    except ValueError:
        return False


def lacks_header(head: TableHead, listing: PhotoListing) -> bool:
    """Whether the header names a photo, so that it is no header."""
    return any("." in cell and is_there(cell, listing) for cell in head.header)


def _known(header: Sequence[str], option: str) -> str:
    """The column of known name; empty without one."""
    for name in COLUMN_NAMES[option]:
        if column := _column(header, name):
            return column
    if option == "individual":
        own = [name for name in header if re.fullmatch("[a-z]+id", _plain(name)) and _plain(name) not in OTHER_IDS]
        return own[0] if len(own) == 1 else ""
    return ""


def _column(header: Sequence[str], wanted: str) -> str:
    return next((name for name in header if _plain(name) == _plain(wanted)), "")


def _plain(name: str) -> str:
    """A column's name without case, spaces and signs."""
    return re.sub(r"[\W_]+", "", name.lower())


def _guess(head: TableHead, listing: PhotoListing) -> dict[str, str]:
    """Guess the columns of photos and individuals from the cells of a table.

    The photos' column has names of existing files. The individuals' column is the only other column, or the only one
    with repeated texts.
    """
    columns = {name: head.column(name) for name in head.header}
    photos = [name for name, cells in columns.items() if cells and all(is_there(cell, listing) for cell in cells[:50])]
    if len(photos) != 1:
        return {}
    others = [name for name in head.header if name not in photos]
    repeated = [
        name
        for name in others
        if 1 < len(set(columns[name])) < len(columns[name])
        and not all(cell.replace(".", "").isdecimal() for cell in columns[name])
    ]
    chosen = others if len(others) == 1 else repeated
    return {"photo": photos[0], **({"individual": chosen[0]} if len(chosen) == 1 else {})}


def _boxes(head: TableHead) -> tuple[tuple[str, ...], str]:
    """The columns of boxes, and their units; no columns without boxes."""
    for wanted in BOXES:
        columns = tuple(filter(None, (_column(head.header, name) for name in wanted)))
        if len(columns) != len(wanted):
            continue
        cells = [" ".join(cells).strip() for cells in zip(*(head.column(name) for name in columns), strict=True)]
        numbers = [_four(cell) for cell in cells if cell]
        boxes = [each for each in numbers if each is not None]
        if boxes and len(boxes) == len(numbers):
            return columns, "relative" if all(max(each) <= 1.5 for each in boxes) else "absolute"
    return (), ""


def _four(cell: str) -> list[float] | None:
    """The four numbers of a box; None if the cell has others."""
    plain = re.sub(r"[\[\](){};]", " ", cell)
    parts = plain.split()
    if not (len(parts) == 4 and all(re.fullmatch(NUMBER, part) for part in parts)):
        parts = plain.replace(",", " ").split()
    try:
        numbers = [float(part.replace(",", ".")) for part in parts]
    except ValueError:
        return None
    return numbers if len(numbers) == 4 and min(numbers[2:]) > 0 else None


def _is_split(head: TableHead, name: str) -> bool:
    words = {cell.lower() for cell in head.column(name)}
    return bool(words) and words <= WORDS.keys()


def individuals_in(head: TableHead, column: str) -> set[str]:
    """The individuals in the first rows of a table, without names for unknown ones."""
    unknown = UnknownNames(UNKNOWN)
    return {cell for cell in head.column(column) if cell not in unknown}
