"""The records of photos: of known individuals, and of a season whose individuals are to be found."""

from __future__ import annotations

from pathlib import Path

from siamesekit.artifact.embedding_files import photos_and_individuals
from siamesekit.components.readers.parquet_tables import parquet_table
from siamesekit.components.readers.tables import csv_table
from siamesekit.config.reader_choice import READER_OF, reader_and_source
from siamesekit.data.records import Record
from siamesekit.registry import READERS


def read(photos: Path, reader: str | None = None, **options: str) -> list[Record]:
    """The records of a folder or table, by a reader.

    Args:
        photos: the folder or table.
        reader: name of the reader; by default it follows from the kind of file.
        options: further options of the reader.

    Raises:
        UserError: the kind is unknown, and no reader is named.
        DataError: the photos cannot be read as asked.
    """
    chosen: dict[str, str] = reader_and_source(photos, reader) | options
    records: list[Record] = READERS.build(chosen.pop("reader"), chosen, seed=0)
    return records


def season(photos: Path, reader: str | None = None) -> list[Record]:
    """The records of photos whose individuals are to be found: a photo, all photos in a folder, or a table.

    A table needs no column of individuals; names that it has are not used.

    Args:
        photos: the photo, folder or table.
        reader: name of a reader; by default tables have theirs, and folders none: how they are divided tells nothing.

    Raises:
        UserError: there is no such file or folder.
        DataError: the photos cannot be read as asked.
    """
    kind = READER_OF.get(photos.suffix.lower()) if reader is None else None
    if kind is not None:
        header = (csv_table if kind == "csv" else parquet_table)(photos).header
        return read(photos, kind, **({} if "individual" in header else {"individual": ""}))
    if reader is not None:
        return read(photos, reader)
    base = photos if photos.is_dir() else photos.parent
    return [Record(file.relative_to(base).as_posix(), "", file) for file, _ in photos_and_individuals([photos])]
