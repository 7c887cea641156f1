"""Reader `csv`: a table of photos and individuals."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from siamesekit.components.readers.columns import USUAL, Columns
from siamesekit.components.readers.shards import table_of
from siamesekit.components.readers.table_records import Rules, place_of_photos, records_of
from siamesekit.components.readers.tables import csv_table
from siamesekit.data.records import Record
from siamesekit.data.table_shards import CSV_SUFFIXES
from siamesekit.data.unknown_names import UNKNOWN
from siamesekit.files.places import Place
from siamesekit.options import NonNegative
from siamesekit.registry import READERS

Delimiter = Literal["auto", ",", ";", "\t", "|"]
BoxColumns = str | tuple[str, str, str, str]
BoxUnits = Literal["absolute", "relative"]


@READERS.register("csv")
def read_csv(
    file: Path,
    photo: str = "photo",
    individual: str = "individual",
    group: str = "",
    root: Place | None = None,
    delimiter: Delimiter = "auto",
    leave_out: tuple[str, ...] = (),
    unknown: tuple[str, ...] = UNKNOWN,
    box: BoxColumns = "",
    box_units: BoxUnits = "absolute",
    rotation: str = "",
    margin: NonNegative = 0.0,
    split: str = "split",
    date: str = "date",
    encounter: str = "encounter",
    side: str = "side",
    species: str = "species",
    site: str = "site",
    follow_links: bool = False,
) -> list[Record]:
    """A table with a header and one row per animal on a photo: the file, the individual, optionally a box and more.

    The table is UTF-8, with or without a byte order mark. Cells may be quoted; surrounding spaces and empty lines are
    ignored. All cells are text: the individual `0012` stays `0012`. All columns other than those of the photo, the
    individual and the box become attributes of the record by their names, for splits, figures by group and exclusions.
    Six attributes have an option for the case that the table names their columns otherwise.

    Several rows may have the same photo with different boxes: several animals on it. The names of the second and
    further ones end in `#2`, `#3`, …

    Args:
        file: the table; relative to the config's file. A folder, or a pattern such as `tables/part-*.csv`, stands for
            all its tables, read as one in the order of their names; they have the same columns.
        photo: column of the photo files, relative to `root`.
        individual: column of the individuals; empty for none: all are unknown then.
        group: column of the groups (sites, species, encounters), for the sampler `hierarchical`; empty for none.
        root: the folder of the photos; by default the folder of the table, or of its shards; or its address on another
            machine, such as `s3://bucket/photos`: then rows name photos below it by paths or whole addresses.
        delimiter: separator of cells; `auto`: the one that divides the header into most columns.
        leave_out: individuals whose photos are left out altogether.
        unknown: texts, in upper or lower case, that stand for an unknown individual. Their photos are kept apart: they
            are no class, and in no part of the split. Without the empty text, an empty cell is an error.
        box: column of the boxes that the photos are cropped to, `x y w h` in one cell: left edge, upper edge, width and
            height, separated by spaces or commas, with or without brackets; or the list of four such columns. They
            count in the upright photo, after its EXIF orientation is applied. A row with an empty box shows the whole
            photo. Empty for no boxes.
        box_units: whether boxes are in pixels (`absolute`) or in shares of the photo's width and height (`relative`).
        rotation: column of the degrees by which boxes are turned clockwise about their centres; empty for none.
        margin: share of a box's width and height that is added on each side; the box ends where the photo ends.
        split: column of the parts of the split, as words; empty for none.
        date: column of the dates, or dates with times, such as `2021-03-04 10:15`; empty for none.
        encounter: column of the encounters; empty for none.
        side: column of the sides or views of the animals; empty for none.
        species: column of the species; empty for none.
        site: column of the sites; empty for none.
        follow_links: whether photos behind links that lead out of the folder of photos are read; otherwise they are an
            error.

    Returns:
        A list of N records, one per row, in the order of the table. A record's name is its file's path below `root`.

    Raises:
        MissingDataError: the table or the folder of photos does not exist.
        DataError: a column is missing, or rows are invalid: a missing cell, a missing photo, a photo outside `root`, a
            photo listed twice with the same box, a box without area or outside the photo, a date that is none. The
            message counts all such rows and shows the first ones. A box that only the size of its photo shows to be
            outside is reported when the photo is read.
    """
    table = table_of(file, CSV_SUFFIXES, lambda shard: csv_table(shard, delimiter))
    attributes = dict(zip(USUAL, (split, date, encounter, side, species, site), strict=True))
    columns = Columns(photo, individual, group, box, rotation, attributes, USUAL)
    rules = Rules(unknown, leave_out, box_units == "relative", margin, follow_links)
    return records_of(table, columns, place_of_photos(file, root), rules)
