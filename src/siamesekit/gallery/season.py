"""The records of photos: of known individuals, and of a season whose individuals are to be found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from siamesekit.artifact.embedding_files import records_of_inputs
from siamesekit.components.readers.table_headers import without_individuals
from siamesekit.config.reader_choice import FOLLOW_LINKS, data_options, reader_of_table, reader_options
from siamesekit.data.reading import read_photos
from siamesekit.data.records import Records


def read(photos: Path, reader: str | None = None, overrides: Sequence[str] = (), skip_bad: bool = False) -> Records:
    """The records of a folder or table, by a reader.

    Args:
        photos: the folder or table.
        reader: name of the reader; by default it follows from the kind of file.
        overrides: options of the reader, as `data.KEY=VALUE` strings.
        skip_bad: whether to leave out missing photos, and links that are not followed, instead of an error.

    Raises:
        UserError: the kind is unknown, and no reader is named.
        DataError: the photos cannot be read as asked.
    """
    name, options = reader_options(photos, reader, overrides)
    return read_photos(name, options, skip_bad=skip_bad)


def season(photos: Path, reader: str | None = None, overrides: Sequence[str] = (), skip_bad: bool = False) -> Records:
    """The records of photos whose individuals are to be found: a photo, all photos in a folder, or a table.

    A table needs no column of individuals; names that it has are not used.

    Args:
        photos: the photo, folder or table.
        reader: name of a reader; by default tables have theirs, and folders none: how they are divided tells nothing.
        overrides: options of the reader, as `data.KEY=VALUE` strings; with others than `follow_links`, a folder has
            the reader `folder`.
        skip_bad: whether to leave out missing photos, and links that are not followed, instead of an error.

    Raises:
        UserError: there is no such file or folder.
        DataError: the photos cannot be read as asked.
    """
    kind = reader_of_table(photos) if reader is None else None
    if kind is not None:
        unnamed = without_individuals(photos, kind, data_options(overrides))
        return read(photos, kind, [*overrides, *unnamed], skip_bad)
    follow_links = FOLLOW_LINKS in overrides
    if reader is not None or photos.suffix.lower() == ".json" or len(overrides) > follow_links:
        return read(photos, reader, overrides, skip_bad)
    found = records_of_inputs([photos], follow_links, skip_bad)
    base = photos if photos.is_dir() else photos.parent
    for number, record in enumerate(found):
        assert isinstance(record.source, Path)
        found[number] = type(record)(record.source.relative_to(base).as_posix(), "", record.source)
    return found
