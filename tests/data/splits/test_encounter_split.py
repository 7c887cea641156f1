"""Encounters, from a column or from gaps in time, and the split that keeps each in one part."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import Counts, records_of, rows_of, who

from siamesekit.data.records import Record
from siamesekit.data.splits import SplitOptions, split_records
from siamesekit.data.splits.encounters import NONE, encounters_of
from siamesekit.errors import DataError


@given(Counts, st.integers(1, 12), st.floats(0.1, 0.9), st.floats(0, 0.5), st.sampled_from([0, 3]), st.integers(0, 9))
@settings(deadline=None, max_examples=25)
def test_no_encounter_is_in_two_parts_even_if_it_shows_several_individuals(
    counts: list[int], encounters: int, train: float, validation: float, folds: int, seed: int
) -> None:
    numbers = [str((7 * photo + seed) % encounters) for photo in range(sum(counts))]
    records = records_of(counts, encounter=numbers)
    try:
        parts = split_records(records, "encounter", train, validation, (), seed, SplitOptions(folds=folds))
    except DataError:
        return
    in_parts = [{records[i].attributes["encounter"] for i in part} for part in parts.parts().values()]
    assert sum(map(len, in_parts)) == len(set(numbers))
    assert who(records, parts.train) == who(records, range(len(records)))


@pytest.mark.parametrize(("train", "tested"), [(0.5, 3), (0.9, 1), (0.1, 4)])
def test_of_each_individuals_encounters_the_share_trains_and_one_at_least(train: float, tested: int) -> None:
    records = [
        Record(f"{name}{number}{photo}", name, records_of([1])[0].source, attributes={"encounter": f"{name}{number}"})
        for name in "abc"
        for number in range(5)
        for photo in range(number + 1)
    ]
    parts = split_records(records, "encounter", train, 0.0, (), 0)
    met = {
        name: {records[i].attributes["encounter"] for i in parts.test if records[i].individual == name}
        for name in "abc"
    }
    assert {name: len(encounters) for name, encounters in met.items()} == dict.fromkeys("abc", tested)


def test_an_individual_with_a_single_encounter_trains() -> None:
    records = rows_of(("a", "1"), ("a", "1"), ("b", "2"), ("b", "3"), ("c", "4"), ("c", "5"), columns=["encounter"])
    for seed in range(5):
        assert who(records, split_records(records, "encounter", 0.5, 0.0, (), seed).test) == {"b", "c"}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 400)), min_size=1, max_size=30), st.integers(1, 60))
@settings(deadline=None, max_examples=25)
def test_encounters_from_gaps_are_the_runs_of_each_individuals_dates(photos: list[tuple[str, int]], gap: int) -> None:
    start = datetime(2020, 2, 29, 23, 58)
    records = rows_of(*((name, str(start + timedelta(seconds=at))) for name, at in photos), columns=["date"])
    found = encounters_of(records, "encounter", gap)
    assert min(found) >= 0
    runs: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for photo, encounter in zip(photos, found.tolist(), strict=True):
        runs[encounter].append(photo)
    for run in runs.values():
        assert len({name for name, _ in run}) == 1
        times = sorted(at for _, at in run)
        assert all(later - earlier < gap for earlier, later in pairwise(times))
    for name in "ab":
        ends = sorted(
            (min(at for _, at in run), max(at for _, at in run)) for run in runs.values() if run[0][0] == name
        )
        assert all(later[0] - earlier[1] >= gap for earlier, later in pairwise(ends))


def test_the_column_goes_before_the_dates_and_a_photo_without_either_is_of_no_encounter() -> None:
    records = rows_of(("a", "x", "2020-01-01"), ("b", " x ", ""), ("a", "", "2020-01-01"), columns=["seen", "date"])
    assert encounters_of(records, "seen", 60).tolist() == [0, 0, NONE]
    assert encounters_of(records, "encounter", 60).tolist() == [0, NONE, 0]
    assert encounters_of(records, "encounter", 0).tolist() == [NONE] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (SplitOptions(), "1 of 3 photos have neither the column 'encounter' nor a 'date'.*: 1.jpg; name the column"),
        (SplitOptions(encounter="seen"), "1 of 3 photos have no 'seen', which .*: 2.jpg; name the column"),
        (SplitOptions(gap_seconds=0), "3 of 3 photos have .* 0.jpg, 1.jpg, 2.jpg; .* with split.gap_seconds above 0"),
    ],
)
def test_photos_of_unknown_encounters_are_counted_by_name(options: SplitOptions, message: str) -> None:
    records = rows_of(("a", "x", "2020-01-01"), ("b", "x", ""), ("a", "", "2020-01-01"), columns=["seen", "date"])
    with pytest.raises(DataError, match=message):
        split_records(records, "encounter", 0.9, 0.0, (), 0, options)
