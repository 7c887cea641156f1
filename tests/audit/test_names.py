"""Findings on individuals' names."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from siamesekit.audit.names import differences, is_nobody, name_findings, spelling
from siamesekit.data.records import Record

PAIRS = {
    ("Seal01", "seal01"): ["case"],
    ("0012", "12"): ["leading zeros"],
    ("12", "12.0"): ["“.0”"],
    (unicodedata.normalize("NFC", "Zoë"), unicodedata.normalize("NFD", "Zoë")): ["the form of accents"],
    ("Big Joe", "Big  Joe"): ["spaces"],
    ("Big Joe", "Big\u00a0Joe"): ["the form of characters"],
    ("a", "a\u200b"): ["invisible characters"],
    ("W 012", "w 12 "): ["spaces", "case", "leading zeros"],
}
DIFFERENT = [("seal1", "seal2"), ("Zoë", "Zoe"), ("w10", "w1"), ("1.5", "1.50"), ("a b", "ab"), ("100", "10")]


def records(*names: str) -> list[Record]:
    return [Record(f"{name}/{k}.jpg", name, Path("x")) for name in names for k in range(2)]


@pytest.mark.parametrize("pair", PAIRS)
def test_spellings_of_one_name_are_found_with_their_difference(pair: tuple[str, str]) -> None:
    [found] = name_findings(records(*pair))
    assert found.kind == "similar_names" and set(found.individual.split(" | ")) == {*pair}
    assert differences(sorted(pair)) == PAIRS[pair]
    assert all(what in found.what for what in PAIRS[pair])


@pytest.mark.parametrize("pair", DIFFERENT)
def test_other_names_are_not_joined(pair: tuple[str, str]) -> None:
    assert spelling(pair[0])[-1] != spelling(pair[1])[-1]
    assert name_findings(records(*pair)) == []


@pytest.mark.parametrize("name", ["unknown", "Unknown", "NaN", "NA", "None", "-1", "?", "new_whale", "Not identified"])
def test_names_of_nobody(name: str) -> None:
    assert is_nobody(name)
    assert [each.kind for each in name_findings(records(name, "w1"))] == ["no_name"]


@pytest.mark.parametrize("name", ["Nana", "w1", "Nantes", "newton", "Noname's child", "10", "Una"])
def test_names_of_somebody(name: str) -> None:
    assert not is_nobody(name)


def test_an_individual_with_one_photo() -> None:
    [found] = name_findings(records("w1")[:1] + records("w2"))
    assert (found.kind, found.file, found.individual) == ("few_photos", "w1/0.jpg", "w1")


def test_unknown_individuals_have_no_name_to_check() -> None:
    assert name_findings([Record("a", "", Path("x"))]) == []
