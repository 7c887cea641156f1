"""Splits: sizes, disjointness, seeds, and what is refused."""

import json
import random
import re
from collections import Counter
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import Counts, records_of, rows_of, who

from siamesekit.data.records import Record
from siamesekit.data.splits import (
    CLOSED_SET,
    WITH_GALLERY,
    Kind,
    Split,
    SplitOptions,
    searches_gallery,
    split_records,
)
from siamesekit.errors import DataError

By = Literal["identity", "photo"]
ENCOUNTERS = st.integers(1, 6)


def split(records: list[Record], by: By = "identity", train: float = 0.9, validation: float = 0.0,
          test: tuple[str, ...] = (), seed: int = 0) -> Split:  # fmt: skip
    return split_records(records, by, train, validation, test, seed)


def test_of_fifty_individuals_forty_five_train_and_five_test() -> None:
    records = records_of([10] * 50)
    parts = split(records)
    assert (len(who(records, parts.train)), len(who(records, parts.test))) == (45, 5)
    assert (len(parts.train), len(parts.test), parts.validation) == (450, 50, ())
    assert list(parts.parts()) == ["train", "test"]


@pytest.mark.medium
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


DRAWN: tuple[Kind, ...] = ("identity", "photo", "time", "encounter", "open-set", "similarity")
"""Kinds whose test part is drawn or cut by a share."""


def varied(counts: list[int], encounters: int, seed: int) -> tuple[list[Record], SplitOptions]:
    """Records with random encounters of one individual each, dates, and embeddings of which some are alike."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(encounters, size=sum(counts))
    days = [f"2020-01-{day:02}" for day in rng.integers(1, 29, size=sum(counts))]
    records = records_of(counts, date=days)
    records = [
        Record(record.name, record.individual, record.source, attributes={
            **record.attributes, "encounter": f"{record.individual}-{number}"
        })
        for record, number in zip(records, drawn, strict=True)
    ]  # fmt: skip
    return records, SplitOptions(embeddings=rng.normal(size=(len(records), 3)), similarity=0.95)


@given(Counts, ENCOUNTERS, st.sampled_from(DRAWN), st.floats(0.1, 0.9), st.floats(0, 0.6), st.integers(0, 99))
@settings(deadline=None, max_examples=50)
def test_of_every_kind_the_parts_are_disjoint_and_all_photos_and_the_seed_decides(
    counts: list[int], encounters: int, by: Kind, train: float, validation: float, seed: int
) -> None:
    records, options = varied(counts, encounters, seed)
    try:
        parts = split_records(records, by, train, validation, (), seed, options)
    except DataError:
        return
    assert sorted(parts.train + parts.validation + parts.test) == list(range(len(records)))
    assert all(list(part) == sorted(part) for part in parts.parts().values())
    assert parts == split_records(records, by, train, validation, (), seed, options)
    if by in CLOSED_SET - {"photo"}:
        assert who(records, parts.test) <= who(records, parts.train)
    if by in CLOSED_SET:
        photos = Counter(record.individual for record in records)
        assert not {name for name, count in photos.items() if count == 1} & who(records, parts.test)
    assert searches_gallery(by, parts, records) == (by in WITH_GALLERY)


@given(Counts, ENCOUNTERS, st.sampled_from(DRAWN), st.integers(2, 6), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_the_folds_of_every_kind_test_each_photo_once_but_those_that_always_train(
    counts: list[int], encounters: int, by: Kind, folds: int, seed: int
) -> None:
    records, given = varied(counts, encounters, seed)
    found = []
    for fold in range(1, folds + 1):
        options = SplitOptions(folds=folds, fold=fold, unseen=1 / folds / 2, embeddings=given.embeddings)
        try:
            found.append(split_records(records, by, 0.9, 0.0, (), seed, options))
        except DataError:
            return
    tested = Counter(photo for parts in found for photo in parts.test)
    assert max(tested.values()) == 1
    always = {*range(len(records))} - {*tested}
    if by == "identity":
        assert not always
        assert {len(who(records, parts.test)) for parts in found} <= {len(counts) // folds, -(-len(counts) // folds)}
    elif by in ("photo", "time", "open-set"):
        photos = Counter(record.individual for record in records)
        assert all(photos[records[photo].individual] == 1 for photo in always)
    elif by == "encounter":
        met = {
            name: {r.attributes["encounter"] for r in records if r.individual == name} for name in who(records, always)
        }
        assert all(len(encounters) == 1 for encounters in met.values())
    if by == "photo":
        sizes = [len(parts.test) for parts in found]
        assert max(sizes) - min(sizes) <= 1
        for parts in found:
            train, test = (Counter(records[photo].individual for photo in part) for part in (parts.train, parts.test))
            assert all(abs(test[name] - (test[name] + train[name]) / folds) < 1 for name in test)


@pytest.mark.parametrize("by", ["identity", "time", "encounter"])
def test_the_order_of_the_records_does_not_matter(by: Kind) -> None:
    records, _ = varied([12, 5, 16, 14, 6, 20, 3, 9], 8, 0)
    order = list(range(len(records)))
    random.Random(1).shuffle(order)
    shuffled = [records[photo] for photo in order]
    one = split_records(records, by, 0.6, 0.5, (), 3)
    other = split_records(shuffled, by, 0.6, 0.5, (), 3)
    for part, photos in one.parts().items():
        assert {records[i].name for i in photos} == {shuffled[i].name for i in other.parts()[part]}


@pytest.mark.parametrize(("by", "seeds"), [("encounter", 5), ("open-set", 5), ("similarity", 5), ("time", 1)])
def test_the_seed_decides_of_the_further_kinds_but_not_of_time(by: Kind, seeds: int) -> None:
    records, options = varied([6] * 8, 5, 0)
    assert len({split_records(records, by, 0.6, 0.0, (), seed, options) for seed in range(5)}) == seeds


def test_a_test_part_of_single_photos_is_enough_where_they_are_searched_among_the_others() -> None:
    records = records_of([3] * 5, date=[f"2020-01-{day:02}" for day in range(1, 16)])
    parts = split_records(records, "time", 0.9, 0.0, (), 0)
    assert Counter(records[photo].individual for photo in parts.test) == {f"i{i:02}": 1 for i in range(5)}
    alone = rows_of(("a", "train"), ("a", "train"), ("b", "train"), ("a", "test"), columns=["split"])
    assert split_records(alone, "column", 0.9, 0.0, (), 0).test == (3,)


def test_validation_photos_need_one_of_an_individual_that_trains_where_they_are_searched() -> None:
    words = ("train", "train", "train", "test", "val")
    records = rows_of(*zip("aabac", words, strict=True), columns=["split"])
    with pytest.raises(DataError, match="none of the 1 validation photos would be of an individual that trains"):
        split_records(records, "column", 0.9, 0.0, (), 0)


def test_where_no_test_photo_could_be_found_the_split_is_refused() -> None:
    records = records_of([1] * 5, date=["2020-01-01"] * 5)
    with pytest.raises(DataError, match=r"none of the 0 test photos would have another photo of its individual"):
        split_records(records, "time", 0.9, 0.0, (), 0)


@pytest.mark.parametrize("fold", [0, 4])
def test_a_fold_that_is_none_of_the_folds_is_refused(fold: int) -> None:
    with pytest.raises(DataError, match=rf"split\.fold = {fold} must be from 1 to split\.folds = 3"):
        split_records(records_of([3] * 9), "photo", 0.9, 0.0, (), 0, SplitOptions(folds=3, fold=fold))
