"""Records: the distinct individuals, and attributes that share their names."""

import pickle
import sys
from pathlib import Path

import pytest

from siamesekit.data.records import Attributes, Record, individuals_of


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


def test_an_unknown_individual_is_none() -> None:
    assert individuals_of([Record("1.jpg", "", Path("x")), Record("2.jpg", "ann", Path("x"))]) == ["ann"]


def test_attributes_are_those_of_a_dict_and_smaller() -> None:
    names = ("encounter", "side", "species", "site", "date")
    plain = {"encounter": "14", "side": "left", "species": "", "site": "A", "date": "2021-03-04"}
    found = Attributes(names, tuple(plain.values()))
    assert found == plain == found
    assert list(found.items()) == list(plain.items())
    assert (found["side"], found.get("view"), found.get("site"), "view" in found) == ("left", None, "A", False)
    with pytest.raises(KeyError, match="view"):
        found["view"]
    assert repr(found) == repr(plain)
    assert pickle.loads(pickle.dumps(found)) == plain
    assert Record("1.jpg", "a", Path("x"), attributes=found) == Record("1.jpg", "a", Path("x"), attributes=plain)
    assert sys.getsizeof(found) + sys.getsizeof(tuple(plain.values())) < sys.getsizeof(plain)
