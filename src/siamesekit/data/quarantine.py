"""Photos in quarantine: a list of names, which are left out whatever reader gives them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from siamesekit.data.records import Record
from siamesekit.errors import DataError
from siamesekit.files.untrusted import MAX_TABLE_BYTES, read_plain

HEADER = "# Photos in quarantine: left out of every run whose config names this file."
"""The first line of a list that `siamesekit check` writes."""


def names_in(path: Path) -> tuple[str, ...]:
    """The names in a list: one on each line, as it is or in JSON's form; `#` begins a comment.

    Raises:
        DataError: the list cannot be read.
    """
    try:
        text = read_plain(path, MAX_TABLE_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"the list of photos in quarantine, {path}, cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"the list of photos in quarantine, {path}, is not UTF-8: save it as UTF-8") from None
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        if name.startswith('"'):
            try:
                name = str(json.loads(name))
            except ValueError:
                raise DataError(f"{path}, line {number}: a name in quotes must be a JSON string") from None
        found.append(name)
    return tuple(dict.fromkeys(found))


def without_quarantined(records: Sequence[Record], path: Path) -> tuple[list[Record], list[str], int]:
    """The records that are not in quarantine, the names of the others, and the number of listed names of no record.

    Raises:
        DataError: the list cannot be read.
    """
    listed = set(names_in(path))
    left_out = [record.name for record in records if record.name in listed]
    kept = [record for record in records if record.name not in listed]
    return kept, left_out, len(listed) - len(left_out)
