"""Options that name columns of the photos."""

from __future__ import annotations

from collections.abc import Sequence

from siamesekit.data.records import Record
from siamesekit.errors import DataError
from siamesekit.wording import near


def no_such_column(option: str, column: str, records: Sequence[Record], which: str = "photo") -> DataError:
    """The error about a column in which no photo has a value.

    Args:
        option: key of the config that names it.
        column: its name.
        records: records of the photos.
        which: what the photos are.
    """
    known = sorted({name for record in records for name in record.attributes})
    has = f"the photos have: {', '.join(known)}" if known else "the photos have no columns"
    return DataError(f"{option} names {column!r}, which no {which} has{near(column, known)}; {has}")
