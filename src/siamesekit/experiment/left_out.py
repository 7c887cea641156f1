"""Photos and individuals that a run leaves out, and the notes about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from siamesekit.config import Config
from siamesekit.data.loading import UnusablePhoto
from siamesekit.data.quarantine import without_quarantined
from siamesekit.data.records import Record
from siamesekit.errors import DataError
from siamesekit.wording import first_of

SHOWN_SINGLETONS = 10


def without_quarantine(
    records: Sequence[Record], config: Config
) -> tuple[list[Record], list[UnusablePhoto], list[str]]:
    """Leave out the photos that the list `data.quarantine` names.

    Returns:
        The remaining records, the photos left out, and notes about them.

    Raises:
        DataError: the list cannot be read.
    """
    if not config.data.quarantine:
        return list(records), [], []
    kept, names, strange = without_quarantined(records, Path(config.data.quarantine))
    left_out = [UnusablePhoto(name, "is in quarantine", "take its name off the list") for name in names]
    notes = [f"{len(names)} photos in quarantine were left out: {first_of(names, SHOWN_SINGLETONS)}"] if names else []
    if strange:
        notes.append(f"{strange} names in {config.data.quarantine} are of no photo of the data set")
    return kept, left_out, notes


def without_unknown(records: Sequence[Record]) -> tuple[list[Record], tuple[str, ...], list[str]]:
    """Keep the photos of unknown individuals apart: they are no class, and in no part of the split.

    Returns:
        The remaining records, the names of the photos kept apart, and notes about them.
    """
    unknown = tuple(record.name for record in records if not record.individual)
    if not unknown:
        return list(records), (), []
    note = f"{len(unknown)} photos of unknown individuals are kept apart, in no part of the split: "
    known = [record for record in records if record.individual]
    return known, unknown, [note + first_of(unknown, SHOWN_SINGLETONS)]


def without_singletons(records: list[Record], rule: str) -> tuple[list[Record], list[UnusablePhoto], list[str]]:
    """Refuse, leave out or keep individuals with a single photo.

    Args:
        records: all photos.
        rule: value of `data.singletons`.

    Returns:
        The remaining records, the photos left out, and notes about them.

    Raises:
        DataError: individuals have a single photo, and `rule` neither leaves them out nor keeps them.
    """
    counts = Counter(record.individual for record in records)
    single = [record.name for record in records if counts[record.individual] == 1]
    if not single or rule == "keep":
        return records, [], []
    who = first_of(single, SHOWN_SINGLETONS)
    if rule == "leave-out":
        kept = [record for record in records if counts[record.individual] > 1]
        left_out = [UnusablePhoto(name, "is the only photo of its individual", "add photos of it") for name in single]
        return kept, left_out, [f"{len(single)} individuals with a single photo were left out: {who}"]
    raise DataError(
        f"{len(single)} individuals have a single photo, which makes no positive pair: {who}; "
        'add photos of them, or set data.singletons = "leave-out", or "keep" to have them among the others'
    )


def told_of_bad(findings: Sequence[UnusablePhoto], photos: int) -> str:
    """A note on the photos that cannot be used, in one line."""
    names = first_of([finding.name for finding in findings], SHOWN_SINGLETONS)
    return f"{len(findings)} of {photos} photos cannot be used and were left out: {names}"
