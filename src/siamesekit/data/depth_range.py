"""Measure the range of values of a set of photos of more than 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from siamesekit.data.decoding import deep_of_content
from siamesekit.data.deep_photos import range_of
from siamesekit.data.photo_files import UnreadableError, content_of
from siamesekit.data.photo_reading import Reading
from siamesekit.data.records import Record
from siamesekit.files.remote_address import RemotePhoto
from siamesekit.progress import Progress


def with_range(reading: Reading, records: Sequence[Record], progress: Progress | None = None) -> Reading:
    """The reading with the range of values of these photos, if it asks for that of the set.

    Photos of 8 bits do not count, and photos that cannot be read do not either: they are reported when they are loaded.

    Args:
        reading: how photos are decoded.
        records: the training photos.
        progress: progress display.
    """
    if reading.depth != "set":
        return reading
    shown = progress or Progress()
    with ThreadPoolExecutor() as pool:
        measured = pool.map(partial(_range_of, reading), records)
        ranges = [found for found in shown.track(measured, len(records), "Measuring depth", "photos") if found]
    if not ranges:
        return reading
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    shown.say(f"{len(ranges)} of {len(records)} training photos have more than 8 bits: values {low:.6g} … {high:.6g}")
    return replace(reading, value_range=(low, high))


def _range_of(reading: Reading, record: Record) -> tuple[float, float] | None:
    if not isinstance(record.source, Path | RemotePhoto):
        return None
    try:
        with content_of(record.source, record.root) as content:
            deep = deep_of_content(content, reading)
            return None if deep is None else range_of(deep)
    except UnreadableError:
        return None
