"""Reader `excel`: a sheet of an Excel workbook with photos and individuals."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from siamesekit.components.readers.columns import USUAL, Columns
from siamesekit.components.readers.excel_tables import excel_table
from siamesekit.components.readers.table_records import Rules, place_of_photos, records_of
from siamesekit.data.records import Record
from siamesekit.data.unknown_names import UNKNOWN
from siamesekit.files.places import Place
from siamesekit.options import NonNegative
from siamesekit.registry import READERS

BoxColumns = str | tuple[str, str, str, str]
BoxUnits = Literal["absolute", "relative"]


@READERS.register("excel")
def read_excel(
    file: Path,
    photo: str = "photo",
    individual: str = "individual",
    group: str = "",
    root: Place | None = None,
    sheet: str = "",
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
    """A sheet of an Excel workbook (`.xlsx`), one row per animal on a photo, with the options of the reader `csv`.

    The first row that is not empty is the header. All values become text: whole numbers have no point, dates and times
    are in ISO form, and of formulas the values count that Excel has stored. A name such as `0012` must be text in the
    sheet; as a number it is `12`. The reader needs openpyxl: `pip install 'siamesekit[excel]'`.

    Args:
        file: the table; relative to the config's file.
        photo: column of the photo files, relative to `root`.
        individual: column of the individuals; empty for none: all are unknown then.
        group: column of the groups (sites, species, encounters), for the sampler `hierarchical`; empty for none.
        root: the folder of the photos; by default the folder of the table; or its address on another
            machine, such as `s3://bucket/photos`: then rows name photos below it by paths or whole addresses.
        sheet: name of the sheet; empty for the first one.
        leave_out: individuals whose photos are left out altogether.
        unknown: texts, in upper or lower case, that stand for an unknown individual. Their photos are kept apart: they
            are no class, and in no part of the split. Without the empty text, an empty cell is an error.
        box: column of the boxes that the photos are cropped to, `x y w h`: left edge, upper edge, width and height; or
            the list of four such columns. They count in the upright photo, after its EXIF orientation is applied. A row
            without a box shows the whole photo. Empty for no boxes.
        box_units: whether boxes are in pixels (`absolute`) or in shares of the photo's width and height (`relative`).
        rotation: column of the degrees by which boxes are turned clockwise about their centres; empty for none.
        margin: share of a box's width and height that is added on each side; the box ends where the photo ends.
        split: column of the parts of the split, as words; empty for none.
        date: column of the dates, or dates with times; empty for none.
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
        DataError: openpyxl is missing, the file is no Excel workbook, there is no such sheet, or it has the faults that
            the reader `csv` names.
    """
    table = excel_table(file, sheet)
    attributes = dict(zip(USUAL, (split, date, encounter, side, species, site), strict=True))
    columns = Columns(photo, individual, group, box, rotation, attributes, USUAL)
    rules = Rules(unknown, leave_out, box_units == "relative", margin, follow_links)
    return records_of(table, columns, place_of_photos(file, root), rules)
