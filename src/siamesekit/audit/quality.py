"""Findings on single photos: unreadable, oversized, tiny, extreme, of one colour, dark, bright, blurred, coarse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from siamesekit.audit.facts import PhotoFacts
from siamesekit.audit.finding import Finding
from siamesekit.data.loading import UnusablePhoto
from siamesekit.data.records import Record
from siamesekit.wording import file_size

OVERSIZED_PIXELS, OVERSIZED_BYTES = 50_000_000, 100_000_000
"""Pixels, or bytes of the file, from which a photo is oversized."""
TINY = 48
"""Shorter side in pixels below which a photo is tiny, unless the network's size is known."""
EXTREME = 5.0
"""Longer side divided by the shorter one from which the shape is extreme."""
ONE_COLOUR = 2.5
"""Standard deviation of each colour, of 255, up to which a photo is nearly of one colour."""
DARK, BRIGHT = 40.0, 215.0
"""A photo is dark if 95 % of its pixels are below `DARK`, and bright if 95 % are above `BRIGHT`."""
COARSE = 12
"""Number of values of the green channel up to which a photo has few grey levels."""
FEWEST = 20
"""Fewest photos of which one may stand out as blurred."""
BLURRED, FACTOR = 3.5, 10.0
"""A photo is blurred if the logarithm of its sharpness lies this many robust standard deviations below the median of
the set, and its sharpness below the median divided by `FACTOR`. On photos of nyalas and lions, this finds
100 % and 99 % of photos blurred by 1 % of their longer side, and 0.4 % and 0 % of those that are as they were taken."""


def quality_findings(
    records: Sequence[Record],
    facts: Mapping[str, PhotoFacts],
    unreadable: Mapping[str, UnusablePhoto],
    size: int | None = None,
) -> list[Finding]:
    """Findings on single photos, in the order of the records.

    Args:
        records: records of all photos.
        facts: facts by the names of the photos.
        unreadable: photos that cannot be read, by name.
        size: side of the network's images; None if unknown.
    """
    smallest = TINY if size is None else min(TINY, size / 2)
    dull = blurred(list(facts.values()))
    found: list[Finding] = []
    for record in records:
        bad = unreadable.get(record.name)
        if bad is not None:
            found.append(Finding("unreadable", record.name, record.individual, bad.reason, remedy=bad.mend))
        elif record.name in facts:
            mine = facts[record.name]
            kinds = dict(_sizes(mine, smallest)) | dict(_tones(mine, mine.sharpness < dull))
            found += [Finding(kind, record.name, record.individual, what) for kind, what in kinds.items()]
    return found


def blurred(facts: Sequence[PhotoFacts]) -> float:
    """The sharpness below which photos of this set are blurred; 0 if none can be.

    The median and the median absolute deviation of the logarithms describe the set, so that blurred photos do not hide
    each other unless they are half of the set.
    """
    known = np.array([each.sharpness for each in facts if each.contrast > ONE_COLOUR])
    known = known[known > 0]
    if len(known) < FEWEST:
        return 0.0
    logs = np.log(known)
    middle = np.median(logs)
    deviation = 1.4826 * np.median(np.abs(logs - middle))
    return float(np.exp(middle - max(BLURRED * deviation, np.log(FACTOR))))


def _sizes(facts: PhotoFacts, smallest: float) -> Iterator[tuple[str, str]]:
    pixels = f"{facts.width} × {facts.height} pixels"
    short, long = sorted((facts.width, facts.height))
    if short * long > OVERSIZED_PIXELS or facts.file_bytes > OVERSIZED_BYTES:
        yield "oversized", f"{pixels}, {file_size(facts.file_bytes)}"
    if short < smallest:
        yield "tiny", pixels
    if long >= EXTREME * short:
        yield "extreme_shape", f"{pixels}: one side is {long / short:.3g} times the other"


def _tones(facts: PhotoFacts, dull: bool) -> Iterator[tuple[str, str]]:
    if facts.contrast <= ONE_COLOUR:
        yield "one_colour", f"its colours deviate by {facts.contrast:.1f} of 255 from their mean"
        return
    if facts.levels <= COARSE:
        yield "few_grey_levels", f"{facts.levels} of 256 levels"
    if facts.high < DARK:
        yield "dark", f"95 % of its pixels are below {facts.high:.0f} of 255"
    elif facts.low > BRIGHT:
        yield "bright", f"95 % of its pixels are above {facts.low:.0f} of 255"
    if dull:
        yield "blurred", f"the variance of its Laplacian is {facts.sharpness:.3g}, far below that of the other photos"
