"""JSON files of annotations and detections, whose parts are checked as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from siamesekit.components.readers.tables import content_of_table
from siamesekit.errors import ArtifactError, DataError
from siamesekit.files.untrusted_json import parse_json

Entry = dict[str, Any]
Id = int | str | None


def json_of(file: Path, what: str) -> Entry:
    """The table that a JSON file holds.

    Args:
        file: path of the file.
        what: what the file should be, for messages.

    Raises:
        MissingDataError: the file does not exist.
        DataError: the file cannot be read or is not JSON, or its value is no table.
    """
    try:
        found = parse_json(content_of_table(file, what), str(file))
    except ArtifactError as error:
        raise DataError(error.message) from None
    if not isinstance(found, dict):
        raise DataError(f"{file} is not {what}: it holds no table")
    return found


def entries(table: Entry, key: str, file: Path, what: str) -> list[Entry]:
    """The list of tables under a key.

    Raises:
        DataError: there is no such list.
    """
    found = table.get(key)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise DataError(f"{file} is not {what}: it has no list {key!r} of tables")
    return found


def id_of(entry: Entry, key: str = "id") -> Id:
    """The number or text by which a table is named, or names another one; None if it is anything else."""
    found = entry.get(key)
    return found if isinstance(found, int | str) else None


def by_id(table: Entry, key: str, file: Path, what: str) -> dict[Id, Entry]:
    """The tables of a list by their `id`.

    Raises:
        DataError: there is no such list, or an `id` is no number or text.
    """
    found = entries(table, key, file, what)
    for number, entry in enumerate(found, 1):
        if id_of(entry) is None:
            raise DataError(f"{file}: number {number} of {key!r}: its id {entry.get('id')!r} is no number or text")
    return {id_of(entry): entry for entry in found}


def plain(entry: Entry) -> Iterator[tuple[str, Any]]:
    """The keys of a table whose values are texts, numbers or truth values."""
    return ((key, value) for key, value in entry.items() if isinstance(value, str | int | float))
