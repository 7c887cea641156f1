"""Splits: sizes, disjointness, seeds, and what is refused."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamesekit.data.records import Record
from siamesekit.data.splits import Split, split_records
from siamesekit.errors import DataError

By = Literal["identity", "photo"]
Counts = st.lists(st.integers(1, 20), min_size=2, max_size=12)


def records_of(counts: list[int]) -> list[Record]:
    """Individuals `i00`, `i01`, … with so many photos each, their photos interleaved."""
    wanted = [(f"i{i:02}", photo) for i, count in enumerate(counts) for photo in range(count)]
    wanted.sort(key=lambda pair: (pair[1], pair[0]))
    return [Record(f"{name}/{photo}.jpg", name, Path("x")) for name, photo in wanted]


def who(records: list[Record], part: tuple[int, ...]) -> set[str]:
    return {records[i].individual for i in part}


def split(records: list[Record], by: By = "identity", train: float = 0.9, validation: float = 0.0,
          test: tuple[str, ...] = (), seed: int = 0) -> Split:  # fmt: skip
    return split_records(records, by, train, validation, test, seed)


def test_of_fifty_individuals_forty_five_train_and_five_test() -> None:
    records = records_of([10] * 50)
    parts = split(records)
    assert (len(who(records, parts.train)), len(who(records, parts.test))) == (45, 5)
    assert (len(parts.train), len(parts.test), parts.validation) == (450, 50, ())
    assert list(parts.parts()) == ["train", "test"]


@given(Counts, st.sampled_from(["identity", "photo"]), st.floats(0.1, 0.9), st.floats(0, 0.6), st.integers(0, 99))
@settings(deadline=None, max_examples=300)
def test_parts_are_disjoint_sorted_and_together_all_photos(
    counts: list[int], by: By, train: float, validation: float, seed: int
) -> None:
    records = records_of(counts)
    try:
        parts = split(records, by, train, validation, seed=seed)
    except DataError:
        return
    assert sorted(parts.train + parts.validation + parts.test) == list(range(len(records)))
    for part in (parts.train, parts.validation, parts.test):
        assert list(part) == sorted(part)
    if by == "identity":
        assert len(who(records, parts.train)) + len(who(records, parts.validation)) + len(
            who(records, parts.test)
        ) == len(counts)


@given(Counts, st.floats(0.1, 0.9), st.integers(0, 99))
@settings(deadline=None)
def test_every_part_that_is_given_has_a_positive_pair_and_a_negative(
    counts: list[int], train: float, seed: int
) -> None:
    records = records_of(counts)
    try:
        parts = split(records, train=train, validation=0.3, seed=seed)
    except DataError:
        return
    assert set(parts.parts()) == {"train", "validation", "test"}
    for part in parts.parts().values():
        photos = Counter(records[i].individual for i in part)
        assert len(photos) >= 2
        assert max(photos.values()) >= 2


def test_the_seed_decides() -> None:
    records = records_of([4] * 20)
    assert split(records, seed=3) == split(records, seed=3)
    assert len({split(records, seed=seed) for seed in range(5)}) > 1
    assert len({split(records, "photo", 0.5, seed=seed) for seed in range(5)}) > 1


def test_by_photo_every_individual_is_in_both_parts() -> None:
    records = records_of([10, 4, 6])
    parts = split(records, "photo", 0.5)
    assert Counter(records[i].individual for i in parts.train) == {"i00": 5, "i01": 2, "i02": 3}
    assert Counter(records[i].individual for i in parts.test) == {"i00": 5, "i01": 2, "i02": 3}


def test_by_photo_validation_takes_its_share_of_each_individuals_training_photos() -> None:
    records = records_of([20, 12])
    parts = split(records, "photo", 0.5, validation=0.4)
    assert Counter(records[i].individual for i in parts.validation) == {"i00": 4, "i01": 2}
    assert Counter(records[i].individual for i in parts.train) == {"i00": 6, "i01": 4}


def test_by_photo_an_individual_with_too_few_photos_to_train_only_tests() -> None:
    records = records_of([2, 20, 20])
    parts = split(records, "photo", 0.45, validation=0.3)  # of two photos none trains, so none validates
    assert sorted(parts.train + parts.validation + parts.test) == list(range(42))
    assert Counter(records[i].individual for i in parts.test) == {"i00": 2, "i01": 11, "i02": 11}


@pytest.mark.parametrize(("validation", "expected"), [(0.2, 2), (0.05, 2), (0.5, 5)])
def test_validation_takes_its_share_of_the_training_individuals_at_least_two(validation: float, expected: int) -> None:
    records = records_of([3] * 14)
    parts = split(records, train=0.75, validation=validation)
    assert len(who(records, parts.validation)) == expected
    assert len(who(records, parts.train)) == 10 - expected
    assert len(who(records, parts.test)) == 4


@pytest.mark.parametrize("train", [0.1, 0.9])
def test_named_individuals_test_whatever_the_share(train: float) -> None:
    records = records_of([3] * 8)
    parts = split(records, train=train, test=("i01", "i06"))
    assert who(records, parts.test) == {"i01", "i06"}
    assert who(records, parts.train) == {f"i{i:02}" for i in range(8)} - {"i01", "i06"}


def test_a_name_that_is_not_there_is_refused_with_a_suggestion() -> None:
    with pytest.raises(DataError, match=r"names 'i1', which is not among the individuals \(did you mean 'i1"):
        split(records_of([3] * 14), test=("i1",))


@pytest.mark.parametrize(
    ("counts", "by", "train", "validation", "message"),
    [
        ([5] * 5, "identity", 0.9, 0.0, "the test part would have 1 individuals, 1 of them"),
        ([5] * 5, "identity", 0.2, 0.0, "the train part would have 1 individuals, 1 of them"),
        ([5] * 6, "identity", 0.5, 0.3, "the train part would have 1 individuals, 1 of them"),
        ([1] * 9, "identity", 0.5, 0.0, "the train part would have 4 individuals, 0 of them"),
        ([5], "photo", 0.5, 0.0, "the train part would have 1 individuals"),
        ([8] * 5, "photo", 0.75, 0.3, "the validation part would have 5 individuals, 0 of them"),
        ([4] * 5, "photo", 0.9, 0.0, "the test part would have 5 individuals, 0 of them"),
    ],
)
def test_a_part_that_is_too_small_is_named(
    counts: list[int], by: By, train: float, validation: float, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        split(records_of(counts), by, train, validation)
    assert f"{len(counts)} individuals and {sum(counts)} photos in all" in str(caught.value)


@pytest.mark.parametrize(
    ("counts", "by", "train", "validation"),
    [
        ([4] * 8, "identity", 0.9, 0.0),
        ([4] * 8, "identity", 0.95, 0.5),
        ([4] * 6, "identity", 0.95, 0.2),
        ([4] * 5, "photo", 0.9, 0.0),
        ([4] * 3, "identity", 0.9, 0.0),
    ],
)
def test_the_split_that_is_suggested_works(counts: list[int], by: By, train: float, validation: float) -> None:
    records = records_of(counts)
    with pytest.raises(DataError, match=r"change \[split\]: .* would do \(by") as caught:
        split(records, by, train, validation)
    said = re.findall(r"split\.(\w+) = (\"?[\w.]+\"?)", str(caught.value))
    suggested = {key: json.loads(value) for key, value in said}
    changed = {"by": by, "train": train, "validation": validation} | suggested
    assert {*suggested} <= {"by", "train", "validation"} and suggested
    split(records, changed["by"], float(changed["train"]), float(changed["validation"]))


def test_where_no_split_works_none_is_suggested() -> None:
    with pytest.raises(DataError) as caught:
        split(records_of([5]), "photo", 0.5)
    assert "would do" not in str(caught.value)


class Counted:
    """A record that counts how often it is asked whose photo it is."""

    asked = 0

    def __init__(self, individual: str) -> None:
        self.name = self._individual = individual

    @property
    def individual(self) -> str:
        Counted.asked += 1
        return self._individual


@pytest.mark.parametrize(("by", "test"), [("identity", ()), ("identity", ("i0007", "i0100")), ("photo", ())])
def test_each_photo_is_looked_at_a_few_times_however_many_individuals_there_are(
    by: By, test: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [Counted(f"i{i:04}") for _ in range(4) for i in range(300)]
    monkeypatch.setattr(Counted, "asked", 0)
    parts = split(records, by, 0.5, test=test)  # type: ignore[arg-type]
    assert sorted(parts.train + parts.test) == list(range(1200))
    assert Counted.asked <= 5 * 1200
