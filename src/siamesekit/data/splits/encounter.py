"""The split by encounter: no encounter has photos in two parts."""

from __future__ import annotations

import numpy as np

from siamesekit.data.splits.dates_of import DATE
from siamesekit.data.splits.encounters import NONE, encounters_of
from siamesekit.data.splits.split import Split, Task
from siamesekit.data.splits.whole_groups import whole_groups
from siamesekit.errors import DataError
from siamesekit.wording import first_of

SHOWN = 10


def by_encounter(task: Task) -> Split:
    """Deal the encounters of each individual whole; an individual with a single encounter trains.

    Raises:
        DataError: the encounter of a photo is unknown.
    """
    options, records = task.options, task.records
    encounters = encounters_of(records, options.encounter, options.gap_seconds)
    unknown = [records[photo].name for photo in np.flatnonzero(encounters == NONE).tolist()]
    if unknown:
        given = any(record.attributes.get(options.encounter, "").strip() for record in records)
        lacks = f"no {options.encounter!r}" if given else f"neither the column {options.encounter!r} nor a {DATE!r}"
        more = "" if given or options.gap_seconds else ", with split.gap_seconds above 0 for encounters from dates"
        raise DataError(
            f'{len(unknown)} of {len(records)} photos have {lacks}, which split.by = "encounter" needs: '
            f"{first_of(unknown, SHOWN)}; name the column with split.encounter{more}, complete it, or choose another "
            "split.by"
        )
    return whole_groups(task, encounters)
