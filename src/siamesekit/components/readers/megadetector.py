"""Reader `megadetector`: a table of photos and individuals, with the boxes that MegaDetector found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from siamesekit.components.readers.columns import USUAL, Columns
from siamesekit.components.readers.json_tables import entries, json_of
from siamesekit.components.readers.table_records import Rules, folder_of_photos, records_of
from siamesekit.components.readers.tables import Row, Table, csv_table, refuse, text_of
from siamesekit.data.records import Record
from siamesekit.data.unknown_names import UNKNOWN
from siamesekit.errors import DataError
from siamesekit.options import Fraction, NonNegative
from siamesekit.registry import READERS
from siamesekit.wording import line_of_name, near

Delimiter = Literal["auto", ",", ";", "\t", "|"]
WithoutAnimal = Literal["whole", "refuse"]
SeveralAnimals = Literal["most-confident", "refuse"]
WHAT = "results of MegaDetector"
BOX, CONFIDENCE = "detection_box", "detection_confidence"
"""Columns that are added to the table."""


@READERS.register("megadetector")
def read_megadetector(
    file: Path,
    detections: Path,
    photo: str = "photo",
    individual: str = "individual",
    group: str = "",
    root: Path | None = None,
    detections_root: Path | None = None,
    delimiter: Delimiter = "auto",
    category: str = "animal",
    confidence: Fraction = 0.2,
    without_animal: WithoutAnimal = "whole",
    several_animals: SeveralAnimals = "most-confident",
    margin: NonNegative = 0.0,
    leave_out: tuple[str, ...] = (),
    unknown: tuple[str, ...] = UNKNOWN,
    split: str = "split",
    date: str = "date",
    encounter: str = "encounter",
    side: str = "side",
    species: str = "species",
    site: str = "site",
    follow_links: bool = False,
) -> list[Record]:
    """A table of photos and individuals, whose photos are cropped to the boxes of MegaDetector's JSON file.

    The table is that of the reader `csv`, with one row per photo. The JSON file has the boxes of each photo by category
    and confidence; the photos that are in the file alone are not read. The confidence of the box becomes the attribute
    `detection_confidence`.

    Args:
        file: the table; relative to the config's file.
        detections: MegaDetector's JSON file; relative to the config's file.
        photo: column of the photo files, relative to `root`.
        individual: column of the individuals.
        group: column of the groups (sites, species, encounters), for the sampler `hierarchical`; empty for none.
        root: the folder of the photos; by default the folder of the table.
        detections_root: the folder that relative paths in the JSON file begin at; by default that of the photos.
        delimiter: separator of the table's cells; `auto`: the one that divides the header into most columns.
        category: name of the category whose boxes are used, of the file's `detection_categories`.
        confidence: smallest confidence of the boxes that are used.
        without_animal: what happens to a photo without such a box: it is used whole, or is an error (`refuse`).
        several_animals: what happens to a photo with several such boxes, of which the table names one individual: the
            box of the highest confidence is used, or the photo is an error (`refuse`).
        margin: share of a box's width and height that is added on each side; the box ends where the photo ends.
        leave_out: individuals whose photos are left out altogether.
        unknown: texts, in upper or lower case, that stand for an unknown individual.
        split: column of the parts of the split; empty for none.
        date: column of the dates, or dates with times; empty for none.
        encounter: column of the encounters; empty for none.
        side: column of the sides or views of the animals; empty for none.
        species: column of the species; empty for none.
        site: column of the sites; empty for none.
        follow_links: whether photos behind links that lead out of the folder of photos are read; otherwise they are an
            error.

    Returns:
        A list of N records, one per row, in the order of the table.

    Raises:
        MissingDataError: the table, the JSON file or the folder of photos does not exist.
        DataError: the JSON file is not in MegaDetector's format, or lacks photos of the table; or the table has the
            faults that the reader `csv` names.
    """
    table, folder = csv_table(file, delimiter), folder_of_photos(file, root)
    attributes = dict(zip(USUAL, (split, date, encounter, side, species, site), strict=True))
    columns = Columns(photo, individual, group, BOX, "", attributes, USUAL)
    place = Columns(photo, individual, group, "", "", attributes, USUAL).in_table(table).photo
    base = folder if detections_root is None else detections_root.absolute()
    found = _boxes(detections, base, category, confidence)
    joined = _joined(table, place, folder, found, detections, without_animal == "refuse", several_animals == "refuse")
    return records_of(joined, columns, folder, Rules(unknown, leave_out, True, margin, follow_links))


Boxes = Mapping[str, list[tuple[float, str]]]
"""Path of a photo → confidence and text of its boxes, the surest first."""


def _boxes(file: Path, base: Path, category: str, confidence: float) -> Boxes:
    """The boxes of one category, from a confidence on, by the absolute path of the photo."""
    content = json_of(file, WHAT)
    names = content.get("detection_categories")
    if not isinstance(names, dict):
        raise DataError(f"{file} is not {WHAT}: it has no table 'detection_categories'")
    numbers = {number for number, name in names.items() if name == category}
    if not numbers:
        known = ", ".join(map(str, names.values()))
        raise DataError(f"{file}: no category {category!r}{near(category, map(str, names.values()))}; it has: {known}")
    boxes: dict[str, list[tuple[float, str]]] = {}
    problems: list[str] = []
    for number, image in enumerate(entries(content, "images", file, WHAT), 1):
        photo = image.get("file")
        sound = isinstance(photo, str) and photo != ""
        own = image.get("detections") or []  # null for a photo that MegaDetector could not open
        if not sound or not isinstance(own, list) or not all(map(_is_detection, own)):
            problems.append(f"image {number} ({line_of_name(str(photo))}): no file, or a detection without category, "
                            "conf and bbox of four numbers")  # fmt: skip
            continue
        chosen = [each for each in own if each["category"] in numbers and each["conf"] >= confidence]
        chosen.sort(key=lambda each: each["conf"], reverse=True)
        path = os.path.normpath(os.path.join(base, str(photo).replace("\\", "/")))  # noqa: PTH118
        boxes[path] = [(each["conf"], text_of(each["bbox"])) for each in chosen]
    refuse(problems, str(file))
    return boxes


def _is_detection(detection: Any) -> bool:
    """Whether a detection has a category, a confidence and a box of four numbers."""
    if not isinstance(detection, dict):
        return False
    box = detection.get("bbox")
    numbers = [detection.get("conf"), *(box if isinstance(box, list) and len(box) == 4 else [None])]
    return isinstance(detection.get("category"), str) and all(isinstance(number, int | float) for number in numbers)


def _joined(
    table: Table, place: int, folder: Path, boxes: Boxes, file: Path, needs_one: bool, needs_only_one: bool
) -> Table:
    """The table with the columns of the boxes."""
    rows: list[Row] = []
    problems: list[str] = []
    width = len(table.header)
    for number, cells in table.rows:
        photo = cells[place] if place < len(cells) else ""
        path = os.path.normpath(os.path.join(folder, photo.replace("\\", "/")))  # noqa: PTH118
        found = boxes.get(path, [])
        told = line_of_name(photo)
        if photo and path not in boxes:
            problems.append(f"line {number}: {file.name} has no photo {told}: run MegaDetector on it, or set "
                            "data.detections_root to the folder that its paths begin at")  # fmt: skip
        elif photo and needs_one and not found:
            problems.append(f"line {number}: {told} has no box: lower data.confidence, or crop the photo by hand")
        elif needs_only_one and len(found) > 1:
            problems.append(f"line {number}: {told} has {len(found)} boxes: raise data.confidence, or name the box of "
                            "the individual in a table for the reader csv")  # fmt: skip
        conf, box = found[0] if found else ("", "")
        rows.append(Row(number, [*cells, *[""] * (width - len(cells)), box, text_of(conf)]))
    refuse(problems, table.name)
    return replace(table, header=(*table.header, BOX, CONFIDENCE), rows=iter(rows))
