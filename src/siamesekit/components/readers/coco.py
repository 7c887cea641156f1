"""Reader `coco`: annotations in COCO's format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from siamesekit.components.readers.coco_keys import INDIVIDUAL_KEYS, STRUCTURE
from siamesekit.components.readers.columns import USUAL, Columns
from siamesekit.components.readers.json_tables import Entry, Id, by_id, entries, id_of, json_of, plain
from siamesekit.components.readers.table_records import Rules, folder_of_photos, records_of
from siamesekit.components.readers.tables import Row, Table, refuse, text_of
from siamesekit.data.records import Record
from siamesekit.data.unknown_names import UNKNOWN
from siamesekit.errors import DataError
from siamesekit.options import NonNegative
from siamesekit.registry import READERS
from siamesekit.wording import near

Crop = Literal["box", "whole"]
WHAT = "annotations in COCO's format"
DEFAULTS = USUAL | {"date": "date_captured", "side": "viewpoint", "species": "category", "site": "location"}


@READERS.register("coco")
def read_coco(
    file: Path,
    root: Path | None = None,
    individual: str = "",
    categories: tuple[str, ...] = (),
    crop: Crop = "box",
    margin: NonNegative = 0.0,
    group: str = "",
    unknown: tuple[str, ...] = UNKNOWN,
    leave_out: tuple[str, ...] = (),
    split: str = "split",
    date: str = "date_captured",
    encounter: str = "encounter",
    side: str = "viewpoint",
    species: str = "category",
    site: str = "location",
    follow_links: bool = False,
) -> list[Record]:
    """Annotations in COCO's format, with the individual in each annotation: one record per annotation.

    The box is the annotation's `bbox`, `[x, y, w, h]` in pixels of the upright photo; an annotation without one shows
    the whole photo, and a photo without annotations gives no record. All texts and numbers of the annotation, of its
    table `attributes` and of its photo become attributes of the record, with the name of the category as `category`.

    Args:
        file: the JSON file; relative to the config's file.
        root: the folder that the photos' `file_name` begins at; by default the folder of the file.
        individual: key of the annotations, or of their table `attributes`, that names the individual; by default the
            one that the file has of `individual_id`, `individual_ids` (a list of at most one), `individual`,
            `identity` and `name`.
        categories: names of the categories to read; all others are left out. Empty for all.
        crop: whether photos are cropped to the boxes, or used whole (`whole`).
        margin: share of a box's width and height that is added on each side; the box ends where the photo ends.
        group: key of the groups, for the sampler `hierarchical`; empty for none.
        unknown: texts, in upper or lower case, that stand for an unknown individual.
        leave_out: individuals whose annotations are left out altogether.
        split: key of the parts of the split; empty for none.
        date: key of the dates, or dates with times; empty for none.
        encounter: key of the encounters, in camera-trap files often `seq_id`; empty for none.
        side: key of the sides or views of the animals; empty for none.
        species: key of the species; empty for none.
        site: key of the sites; empty for none.
        follow_links: whether photos behind links that lead out of the folder of photos are read; otherwise they are an
            error.

    Returns:
        A list of N records, one per annotation, in the order of the file.

    Raises:
        MissingDataError: the file or the folder of photos does not exist.
        DataError: the file is not in this format, annotations refer to no photo or category, or have several
            individuals, or the faults that the reader `csv` names.
    """
    table = _table(file, individual, categories)
    attributes = dict(zip(DEFAULTS, (split, date, encounter, side, species, site), strict=True))
    box = "bbox" if crop == "box" else ""
    columns = Columns("file_name", "individual", group, box, "", attributes, DEFAULTS)
    return records_of(
        table,
        columns,
        folder_of_photos(file, root),
        Rules(unknown, leave_out, margin=margin, follow_links=follow_links),
    )


def _table(file: Path, individual: str, categories: Sequence[str]) -> Table:
    """The annotations as a table with the columns `file_name`, `individual`, `bbox`, `category` and all others."""
    content = json_of(file, WHAT)
    images = by_id(content, "images", file, WHAT)
    annotations = entries(content, "annotations", file, WHAT)
    kinds = by_id(content, "categories", file, WHAT) if "categories" in content else {}
    named = {number: text_of(entry.get("name")) for number, entry in kinds.items()}
    for name in categories:
        if name not in named.values():
            raise DataError(f"categories: {file} has no category {name!r}{near(name, named.values())}")
    key = individual or _individual_key(annotations, file)
    rows: list[tuple[int, dict[str, str]]] = []
    problems: list[str] = []
    for number, annotation in enumerate(annotations, 1):
        category = named.get(id_of(annotation, "category_id"), "")
        if categories and category not in categories:
            continue
        problems += [f"annotation {number}: {what}" for what in _faults(annotation, images, named, key)]
        image = images.get(id_of(annotation, "image_id"), {})
        rows.append((number, _cells(annotation, image, category, key)))
    refuse(problems, str(file))
    if not rows:
        raise DataError(f"{file} has no annotations{' of these categories' if categories else ''}")
    header = tuple(dict.fromkeys(name for _, cells in rows for name in cells))
    return Table(
        str(file),
        header,
        (Row(number, [cells.get(name, "") for name in header]) for number, cells in rows),
        "annotation",
    )


def _individual_key(annotations: Sequence[Entry], file: Path) -> str:
    """The key that names the individuals."""
    found = {key for annotation in annotations for key in (*annotation, *_own(annotation)) if key in INDIVIDUAL_KEYS}
    if len(found) == 1:
        return found.pop()
    if found:
        raise DataError(
            f'{file}: annotations have {", ".join(sorted(found))}: name the one of them: individual = "KEY"'
        )
    raise DataError(
        f'{file}: no annotation names an individual ({", ".join(INDIVIDUAL_KEYS)}); for another key: individual = "KEY"'
    )


def _own(annotation: Entry) -> Mapping[str, Any]:
    """The table `attributes` of an annotation."""
    own = annotation.get("attributes")
    return own if isinstance(own, dict) else {}


def _individuals(annotation: Entry, key: str) -> list[str]:
    """The individuals of an annotation."""
    found = annotation.get(key, _own(annotation).get(key))
    return [text_of(each) for each in found] if isinstance(found, list) else [text_of(found)]


def _faults(annotation: Entry, images: Mapping[Id, Entry], named: Mapping[Id, str], key: str) -> list[str]:
    image, category = id_of(annotation, "image_id"), id_of(annotation, "category_id")
    individuals = _individuals(annotation, key)
    return [
        *([] if image in images else [f"its image_id {image!r} is no photo of the file"]),
        *(
            []
            if category is None or category in named
            else [f"its category_id {category!r} is no category of the file"]
        ),
        *([] if len(individuals) < 2 else [f"has {len(individuals)} individuals; expected one for each box"]),
    ]


def _cells(annotation: Entry, image: Entry, category: str, key: str) -> dict[str, str]:
    """Column → cell of an annotation."""
    facts = {**dict(plain(image)), **dict(plain(dict(_own(annotation)))), **dict(plain(annotation))}
    cells = {name: text_of(value) for name, value in facts.items() if name not in STRUCTURE and name != key}
    own = {
        "file_name": text_of(image.get("file_name")),
        "individual": "".join(_individuals(annotation, key)),
        "bbox": text_of(annotation.get("bbox")),
        "category": category,
    }
    return own | {name: text for name, text in cells.items() if name not in own}
