"""Observations as the metadata table of wildlife-datasets: `image_id, identity, path, bbox, date, orientation, …`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from siamesekit.gallery.exchange.box_units import BoxUnits
from siamesekit.gallery.exchange.observation import Observation
from siamesekit.gallery.exchange.written_tables import (
    Written,
    csv_of,
    note_of_apostrophes,
    note_of_lost,
    path_within,
    unique,
)

COLUMNS = ("image_id", "identity", "path", "bbox", "date", "orientation", "species")
"""Columns that come first; all other attributes follow under their own names."""
CALLED = {"side": "orientation"}
"""Attribute → its column, where the names differ."""
UNKNOWN = "unknown"


def wildlife_frame(observations: Sequence[Observation], base: Path) -> Written:
    """The table as CSV, one row per observation.

    Args:
        observations: the observations.
        base: folder at which `path` begins.

    Raises:
        DataError: a photo is not below that folder, or its size is needed for its box and it cannot be read.
    """
    boxes = BoxUnits()
    numbers = list(map(str, range(1, len(observations) + 1)))
    names = unique([each.attribute("image_id") for each in observations], numbers)
    attributes = dict.fromkeys(name for each in observations for name in each.record.attributes)
    taken = {"image_id", "identity", "path", "bbox", *CALLED.values()}
    lost = [name for name in attributes if name in taken - {"image_id"}]
    rows = []
    for each, name in zip(observations, names, strict=True):
        facts = {CALLED.get(key, key): text for key, text in each.record.attributes.items() if key not in taken}
        sides = boxes.pixels(each)
        own = {
            "image_id": name,
            "identity": each.record.individual or UNKNOWN,
            "path": path_within(each, base),
            "bbox": "" if sides is None else f"[{', '.join(map(repr, map(float, sides)))}]",
        }
        rows.append(facts | own)
    others = [name for name in attributes if name not in taken and CALLED.get(name, name) not in COLUMNS]
    content, escaped = csv_of([*COLUMNS, *others], rows)
    return Written({"": content}, (*boxes.notes("pixels"), *note_of_lost(lost), *note_of_apostrophes(escaped)))
