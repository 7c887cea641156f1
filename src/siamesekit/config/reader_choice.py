"""The reader of photos that are named by a path alone."""

from __future__ import annotations

from pathlib import Path

from siamesekit.errors import UserError

READER_OF = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
"""Readers of tables, by suffix."""


def reader_and_source(photos: Path, reader: str | None = None) -> dict[str, str]:
    """The keys `reader`, and `root` or `file`, of a config's table `[data]`.

    Args:
        photos: folder or table of photos.
        reader: name of the reader; by default it follows from the kind of file.

    Raises:
        UserError: the kind is unknown, and no reader is named.
    """
    if reader is None:
        reader = "folder" if photos.is_dir() else READER_OF.get(photos.suffix.lower())
    if reader is None:
        raise UserError(
            f"{photos}: expected a folder of photos or a table ({', '.join(READER_OF)}); for other kinds, name the "
            "reader: --reader NAME, listed by: siamesekit list readers"
        )
    return {"reader": reader, "root" if photos.is_dir() else "file": str(photos)}
