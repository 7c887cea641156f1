"""Records for the tests of splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

from siamesekit.data.records import Record

Counts = st.lists(st.integers(1, 20), min_size=2, max_size=12)


def records_of(counts: Sequence[int], **columns: Sequence[str]) -> list[Record]:
    """Individuals `i00`, `i01`, … with so many photos each, their photos interleaved; one value of a column a photo."""
    wanted = [(f"i{i:02}", photo) for i, count in enumerate(counts) for photo in range(count)]
    wanted.sort(key=lambda pair: (pair[1], pair[0]))
    return [
        Record(
            f"{name}/{photo}.jpg",
            name,
            Path("x"),
            attributes={column: values[place] for column, values in columns.items()},
        )
        for place, (name, photo) in enumerate(wanted)
    ]


def rows_of(*rows: tuple[str, ...], columns: Sequence[str]) -> list[Record]:
    """Records `0.jpg`, `1.jpg`, … of rows: the individual, then a value of each column."""
    return [
        Record(f"{number}.jpg", individual, Path("x"), attributes=dict(zip(columns, values, strict=True)))
        for number, (individual, *values) in enumerate(rows)
    ]


def who(records: Sequence[Record], part: Sequence[int]) -> set[str]:
    """The individuals of a part."""
    return {records[photo].individual for photo in part}
