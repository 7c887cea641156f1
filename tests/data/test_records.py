"""Records: the distinct individuals."""

from pathlib import Path

import pytest

from siamesekit.data.records import Record, individuals_of


def test_individuals_are_distinct_and_sorted() -> None:
    records = [Record(f"{i}.jpg", individual, Path("x")) for i, individual in enumerate(["w_2", "w_10", "w_2", "A"])]
    assert individuals_of(records) == ["A", "w_10", "w_2"]
    assert individuals_of([]) == []


def test_a_record_cannot_be_changed() -> None:
    record = Record("a/1.jpg", "a", Path("x"))
    with pytest.raises(AttributeError):
        record.name = "b"  # type: ignore[misc]


def test_a_group_is_optional_and_part_of_what_a_record_is() -> None:
    without = Record("a/1.jpg", "a", Path("x"))
    assert without.group == ""
    assert without == Record("a/1.jpg", "a", Path("x"), "") != Record("a/1.jpg", "a", Path("x"), "north")
