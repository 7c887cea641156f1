"""Reader `wildlife`: metadata tables of wildlife-datasets and of WildlifeReID-10k."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from siamesekit.components.readers.columns import USUAL, Columns
from siamesekit.components.readers.table_records import Rules, folder_of_photos, records_of
from siamesekit.components.readers.tables import csv_table
from siamesekit.data.records import Record
from siamesekit.data.unknown_names import UNKNOWN
from siamesekit.options import NonNegative
from siamesekit.registry import READERS

Crop = Literal["box", "whole"]


@READERS.register("wildlife")
def read_wildlife(
    file: Path,
    root: Path | None = None,
    crop: Crop = "box",
    margin: NonNegative = 0.0,
    group: str = "",
    unknown: tuple[str, ...] = UNKNOWN,
    leave_out: tuple[str, ...] = (),
    split: str = "split",
    date: str = "date",
    encounter: str = "encounter",
    side: str = "orientation",
    species: str = "species",
    site: str = "site",
    follow_links: bool = False,
) -> list[Record]:
    """A metadata table of wildlife-datasets (a data frame saved with `to_csv`), or that of WildlifeReID-10k.

    The columns `identity` and `path` are needed. A column `bbox` holds the box in pixels, `[x, y, w, h]`; a row without
    one shows the whole photo. All further columns become attributes: `image_id`, `dataset`, `cluster_id`, …, and
    `orientation` as `side`. Individuals of the name `unknown` are kept apart.

    Args:
        file: the table, such as `metadata.csv`; relative to the config's file.
        root: the folder that paths in the table begin at; by default the folder of the table.
        crop: whether photos are cropped to the column `bbox`, where there is one, or used whole (`whole`).
        margin: share of a box's width and height that is added on each side; the box ends where the photo ends.
        group: column of the groups, such as `species` or `dataset`, for the sampler `hierarchical`; empty for none.
        unknown: texts, in upper or lower case, that stand for an unknown individual.
        leave_out: individuals whose photos are left out altogether.
        split: column of the parts of the split; empty for none.
        date: column of the dates, or dates with times; empty for none.
        encounter: column of the encounters; empty for none.
        side: column of the sides or views of the animals, in older tables `position`; empty for none.
        species: column of the species; empty for none.
        site: column of the sites; empty for none.
        follow_links: whether photos behind links that lead out of the folder of photos are read; otherwise they are an
            error.

    Returns:
        A list of N records, one per row, in the order of the table.

    Raises:
        MissingDataError: the table or the folder of photos does not exist.
        DataError: the table has the faults that the reader `csv` names.
    """
    attributes = dict(zip(USUAL, (split, date, encounter, side, species, site), strict=True))
    columns = Columns(
        "path",
        "identity",
        group,
        "bbox" if crop == "box" else "",
        "",
        attributes,
        USUAL | {"side": "orientation", "box": "bbox"},
    )
    rules = Rules(unknown, leave_out, margin=margin, follow_links=follow_links)
    return records_of(csv_table(file, shared=True), columns, folder_of_photos(file, root), rules)
