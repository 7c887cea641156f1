"""Read the records of photos by a reader, and leave out single photos that are at fault, if asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from siamesekit.data.records import Records
from siamesekit.data.unusable import UnusablePhotosError
from siamesekit.registry import READERS
from siamesekit.wording import first_of

SHOWN = 10


def read_photos(reader: str, options: Mapping[str, Any], seed: int = 0, skip_bad: bool = False) -> Records:
    """The records of photos.

    Args:
        reader: name of the reader.
        options: its options.
        seed: seed of readers that draw photos.
        skip_bad: whether to leave out missing photos and links that lead out of the folder of photos, instead of an
            error; they are `left_out` of the records. If no other photo remains, they are an error nevertheless.

    Raises:
        MissingDataError: the folder or table does not exist.
        UnusablePhotosError: single photos are at fault, and are not to be left out.
        DataError: the photos cannot be read as asked.
    """
    try:
        records: Records = READERS.build(reader, options, seed=seed)
    except UnusablePhotosError as error:
        if not error.records:
            raise
        if not skip_bad:
            hint = "fix them, or leave them out with --skip-bad"
            raise UnusablePhotosError(error.message, [*error.details, hint], error.records, error.findings) from None
        reasons = [finding.reason for finding in error.findings]
        note = f"{len(reasons)} photos cannot be used and were left out: {first_of(reasons, SHOWN)}"
        found = error.records
        return Records(found, [*found.notes, note], found.passed_over, error.findings)
    return records
