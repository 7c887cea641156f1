"""Encounters: which photos were taken at one meeting with an individual."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from siamesekit.data.records import Record, individuals_of
from siamesekit.data.splits.dates_of import UNKNOWN, moments_of

NONE = -1
"""In place of an encounter that is unknown."""


def encounters_of(records: Sequence[Record], attribute: str, gap_seconds: float) -> NDArray[np.int64]:
    """The encounter of each photo, as a number, int64 `[N]`; `NONE` if unknown.

    Photos with the same attribute are of one encounter, whoever they show. If no photo has the attribute, encounters
    come from the dates: an encounter of an individual ends where the next photo of it was taken `gap_seconds` later or
    more. A date without a time is midnight, so the photos of one day are of one encounter.

    Args:
        records: records of all photos.
        attribute: name of the attribute, such as `encounter`.
        gap_seconds: shortest time between two encounters of an individual; 0: dates are not used.
    """
    named = [record.attributes.get(attribute, "").strip() for record in records]
    distinct = set(named)
    if distinct - {""}:
        number = {name: place for place, name in enumerate(sorted(distinct - {""}))} | {"": NONE}
        return np.fromiter((number[name] for name in named), np.int64, len(named))
    encounters = np.full(len(named), NONE)
    if gap_seconds == 0:
        return encounters
    moments = moments_of(records)
    number = {name: place for place, name in enumerate(individuals_of(records))}
    who = np.fromiter((number[record.individual] for record in records), np.int64, len(records))
    order = np.lexsort((moments, who))
    order = order[moments[order] != UNKNOWN]
    begins = (np.diff(who[order], prepend=NONE) != 0) | (
        np.diff(moments[order], prepend=0) >= round(gap_seconds * 1_000_000)
    )
    encounters[order] = np.cumsum(begins) - 1
    return encounters
