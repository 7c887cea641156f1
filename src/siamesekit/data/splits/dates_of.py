"""The moments at which photos were taken, from their dates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from siamesekit.data.dates import moment_of
from siamesekit.data.records import Record

DATE = "date"
"""The attribute with the date of a photo."""
UNKNOWN = np.iinfo(np.int64).min
"""In place of the moment of a photo without a date."""


def moments_of(records: Sequence[Record]) -> NDArray[np.int64]:
    """The moment of each photo as microseconds, int64 `[N]`; `UNKNOWN` without a date, or if its text is none."""
    texts = [record.attributes.get(DATE, "") for record in records]
    known = {text: microseconds(moment_of(text)) for text in set(texts)}
    return np.fromiter((known[text] for text in texts), np.int64, len(texts))


def microseconds(moment: datetime | None) -> int:
    """A moment as microseconds since the year 1."""
    if moment is None:
        return int(UNKNOWN)
    since = moment - datetime.min
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
