"""Reader `happywhale`: the whales and dolphins of a Kaggle competition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from siamesekit.components.readers.columns import Columns
from siamesekit.components.readers.table_records import Rules, folder_of_photos, records_of
from siamesekit.components.readers.tables import Row, Table, csv_table
from siamesekit.data.records import Record
from siamesekit.data.unknown_names import UNKNOWN
from siamesekit.options import NonNegative
from siamesekit.registry import READERS

MENDED = {"bottlenose_dolpin": "bottlenose_dolphin", "kiler_whale": "killer_whale"}
"""Names of species that the table misspells."""
BoxColumns = str | tuple[str, str, str, str]


@READERS.register("happywhale")
def read_happywhale(
    root: Path,
    table: str = "train.csv",
    photos: str = "train_images",
    unknown: tuple[str, ...] = UNKNOWN,
    leave_out: tuple[str, ...] = (),
    box: BoxColumns = "",
    margin: NonNegative = 0.0,
    follow_links: bool = False,
) -> list[Record]:
    """The download of Kaggle's `happy-whale-and-dolphin`, as it is.

    The folder holds `train.csv` with the columns `image`, `species` and `individual_id`, and the photos in
    `train_images`. The species becomes an attribute, and the records' group; the misspelt `bottlenose_dolpin` and
    `kiler_whale` are mended. Further columns, such as those of boxes that others have published, become attributes.

    Args:
        root: the folder of the download; relative to the config's file.
        table: name of the table in it; cells are separated by commas.
        photos: name of the folder of photos in it.
        unknown: texts, in upper or lower case, that stand for an unknown individual.
        leave_out: individuals whose photos are left out altogether.
        box: column of boxes in pixels, `x y w h`, if one was added to the table; or the list of four such columns.
        margin: share of a box's width and height that is added on each side; the box ends where the photo ends.
        follow_links: whether photos behind links that lead out of the folder of photos are read; otherwise they are an
            error.

    Returns:
        A list of N records, one per row, in the order of the table.

    Raises:
        MissingDataError: the table or the folder of photos does not exist.
        DataError: the table has the faults that the reader `csv` names.
    """
    file = root / table
    columns = Columns("image", "individual_id", "species", box)
    rules = Rules(unknown, leave_out, margin=margin, follow_links=follow_links)
    return records_of(_mended(csv_table(file)), columns, folder_of_photos(file, root / photos), rules)


def _mended(table: Table) -> Table:
    """The table with the right names of species."""
    if "species" not in table.header:
        return table
    place = list(table.header).index("species")

    def rows() -> Iterator[Row]:
        for row in table.rows:
            if place < len(row.cells):
                row.cells[place] = MENDED.get(row.cells[place], row.cells[place])
            yield row

    return replace(table, rows=rows())
