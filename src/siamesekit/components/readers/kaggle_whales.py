"""Reader `kaggle-whales`: the humpback whales of two Kaggle competitions."""

from __future__ import annotations

from pathlib import Path

from siamesekit.components.readers.columns import Columns
from siamesekit.components.readers.table_records import Rules, folder_of_photos, records_of
from siamesekit.components.readers.tables import csv_table
from siamesekit.data.records import Record
from siamesekit.data.unknown_names import UNKNOWN
from siamesekit.registry import READERS


@READERS.register("kaggle-whales")
def read_kaggle_whales(
    root: Path,
    table: str = "train.csv",
    photos: str = "train",
    unknown: tuple[str, ...] = UNKNOWN,
    leave_out: tuple[str, ...] = (),
    follow_links: bool = False,
) -> list[Record]:
    """The download of Kaggle's `humpback-whale-identification` or `whale-categorization-playground`, as it is.

    The folder holds `train.csv` with the columns `Image` and `Id`, and the photos in `train`. Whales of the name
    `new_whale` are unknown: they are kept apart.

    Args:
        root: the folder of the download; relative to the config's file.
        table: name of the table in it; cells are separated by commas.
        photos: name of the folder of photos in it.
        unknown: texts, in upper or lower case, that stand for an unknown individual.
        leave_out: individuals whose photos are left out altogether.
        follow_links: whether photos behind links that lead out of the folder of photos are read; otherwise they are an
            error.

    Returns:
        A list of N records, one per row, in the order of the table.

    Raises:
        MissingDataError: the table or the folder of photos does not exist.
        DataError: the table has the faults that the reader `csv` names.
    """
    file = root / table
    rules = Rules(unknown, leave_out, follow_links=follow_links)
    return records_of(csv_table(file), Columns("Image", "Id"), folder_of_photos(file, root / photos), rules)
