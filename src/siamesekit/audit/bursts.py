"""Bursts across the split: photos of one individual, of one encounter or moment, in two parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from siamesekit.audit.facts import PhotoFacts
from siamesekit.audit.finding import Finding
from siamesekit.data.records import Record
from siamesekit.data.splits.encounters import NONE, encounters_of

BURST_SECONDS = 60.0
"""Seconds between photos of an individual from which they are of two moments, if only their EXIF tells the time."""
SHOWN = 5


def burst_findings(
    records: Sequence[Record],
    facts: Mapping[str, PhotoFacts],
    parts: Mapping[str, str],
    encounter: str = "encounter",
    gap_seconds: float = 3600.0,
) -> list[Finding]:
    """A finding for each encounter of an individual with photos in the test part and in another part.

    Args:
        records: records of all photos.
        facts: facts by the names of the photos.
        parts: part of the split of each photo, by name.
        encounter: column of the encounters.
        gap_seconds: shortest time between two encounters, by the column `date`, if there is no column of encounters.
    """
    numbers, how = _encounters(records, facts, encounter, gap_seconds)
    together: dict[tuple[str, int], list[str]] = defaultdict(list)
    for record, number in zip(records, numbers.tolist(), strict=True):
        if number != NONE and record.individual and parts.get(record.name):
            together[record.individual, number].append(record.name)
    found = []
    for (individual, _), names in together.items():
        tested = [name for name in names if parts[name] == "test"]
        others = [name for name in names if parts[name] != "test"]
        if tested and others:
            places = ", ".join(sorted({parts[name] for name in others}))
            what = f"{len(tested)} test photos are of {how} as {len(others)} photos of the part {places}"
            found.append(Finding("burst_across_split", tested[0], individual, what, tuple(others[:SHOWN])))
    return found


def _encounters(
    records: Sequence[Record], facts: Mapping[str, PhotoFacts], encounter: str, gap_seconds: float
) -> tuple[NDArray[np.int64], str]:
    """The encounter of each photo `[N]`, and in words what it is."""
    known = [record if record.individual else replace(record, individual="\0") for record in records]
    numbers = encounters_of(known, encounter, gap_seconds)
    if (numbers != NONE).any():
        return numbers, "the same encounter"
    dated = [
        replace(record, attributes={"date": facts[record.name].taken.decode() if record.name in facts else ""})
        for record in known
    ]
    return encounters_of(dated, encounter, BURST_SECONDS), f"the same moment (EXIF, within {BURST_SECONDS:.0f} s)"
