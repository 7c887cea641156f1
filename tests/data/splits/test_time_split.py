"""The split by time: a date, a share, folds of blocks, and photos without a date."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import Counts, records_of, rows_of

from siamesekit.data.records import Record
from siamesekit.data.splits import SplitOptions, split_records
from siamesekit.errors import DataError


@given(Counts, st.floats(0.1, 0.9), st.floats(0, 0.5), st.data())
@settings(deadline=None, max_examples=25)
def test_in_each_individual_no_photo_is_later_than_one_of_the_next_part(
    counts: list[int], train: float, validation: float, data: st.DataObject
) -> None:
    days = data.draw(st.lists(st.integers(1, 28), min_size=sum(counts), max_size=sum(counts)))
    records = records_of(counts, date=[f"2020-02-{day:02}" for day in days])
    try:
        parts = split_records(records, "time", train, validation, (), 0)
    except DataError:
        return
    own: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for number, part in enumerate((parts.train, parts.validation, parts.test)):
        for photo in part:
            own[records[photo].individual].append((records[photo].attributes["date"], records[photo].name, number))
    for photos in own.values():
        in_time = [number for _, _, number in sorted(photos)]
        assert in_time == sorted(in_time)
        assert in_time.count(2) == (len(photos) - max(1, int(len(photos) * train)) if len(photos) > 1 else 0)
        assert 0 in in_time


def dated(*rows: tuple[str, str]) -> list[Record]:
    return rows_of(*rows, columns=["date"])


def test_photos_from_the_date_on_test() -> None:
    records = dated(
        ("a", "2020-01-01"), ("a", "2020-05-01 23:59:59"), ("a", "2020:05:02 00:00:00"), ("a", "2021-01-01"),
        ("b", "2020/1/2"), ("b", "2020-05-02T10:00"),
    )  # fmt: skip
    parts = split_records(records, "time", 0.9, 0.0, (), 0, SplitOptions(time="2020-05-02"))
    assert (parts.train, parts.test) == ((0, 1, 4), (2, 3, 5))


def test_an_individual_that_is_first_seen_after_the_date_is_refused_left_out_or_new() -> None:
    records = dated(
        ("a", "2020-01-01"), ("a", "2020-01-02"), ("b", "2020-01-01"), ("a", "2021-01-01"), ("c", "2021-01-01")
    )
    with pytest.raises(DataError, match="1 of 2 test photos show 1 individuals without a photo outside the test part"):
        split_records(records, "time", 0.9, 0.0, (), 0, SplitOptions(time="2021-01-01"))
    left = split_records(records, "time", 0.9, 0.0, (), 0, SplitOptions(time="2021-01-01", unmatched="leave-out"))
    assert (left.test, left.left_out) == ((3,), (4,))
    new = split_records(records, "time", 0.9, 0.0, (), 0, SplitOptions(time="2021-01-01", unmatched="new"))
    assert (new.test, new.left_out) == ((3, 4), ())


def test_photos_without_a_date_are_counted_by_name() -> None:
    records = dated(*(("a", f"2020-01-{day:02}") for day in range(1, 10)), ("b", ""), ("b", "03/04/2021"))
    with pytest.raises(DataError, match=r'2 of 11 photos have no date, which split.by = "time" needs') as caught:
        split_records(records, "time", 0.9, 0.0, (), 0)
    assert caught.value.details == ("9.jpg: no date", "10.jpg: '03/04/2021' is no date")
    assert "2021-03-04" in caught.value.message


def test_a_date_of_the_split_that_is_none_is_refused() -> None:
    with pytest.raises(DataError, match=r"split.time: must be a date of one of the forms 2021-03-04"):
        split_records(dated(("a", "2020-01-01")), "time", 0.9, 0.0, (), 0, SplitOptions(time="1 May"))


def test_each_fold_is_a_block_of_each_individuals_time() -> None:
    records = records_of([6] * 4, date=[f"2020-01-{day:02}" for day in range(1, 25)])
    blocks = set()
    for fold in (1, 2, 3):
        parts = split_records(records, "time", 0.9, 0.0, (), 0, SplitOptions(folds=3, fold=fold))
        for name in ("i00", "i01", "i02", "i03"):
            blocks.add((name, tuple(records[i].name for i in parts.test if records[i].individual == name)))
    assert blocks == {(f"i0{i}", (f"i0{i}/{n}.jpg", f"i0{i}/{n + 1}.jpg")) for i in range(4) for n in (0, 2, 4)}
