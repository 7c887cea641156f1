"""The split by column: its words, what it refuses, and the test photos that nothing can match."""

from __future__ import annotations

import pytest
from made_records import rows_of, who

from siamesekit.data.records import Record
from siamesekit.data.splits import Split, SplitOptions, searches_gallery, split_records
from siamesekit.errors import DataError


def rows(*words: str, column: str = "split") -> list[Record]:
    """Photos of `a` and `b` in turn, each with its word."""
    return rows_of(*(("ab"[number % 2], word) for number, word in enumerate(words)), columns=[column])


def split(records: list[Record], validation: float = 0.0, **options: object) -> Split:
    return split_records(records, "column", 0.9, validation, (), 0, SplitOptions(**options))  # type: ignore[arg-type]


def test_each_word_is_a_part_in_any_case() -> None:
    words = ["train", "TRAIN", "Train", "val", "valid", "Validation", "val ", "test", "query", "Gallery", "database"]
    parts = split(rows(*words))
    assert parts == Split(train=(0, 1, 2), validation=(3, 4, 5, 6), test=(7, 8), gallery=(9, 10))
    assert parts.searched() == (0, 1, 2, 3, 4, 5, 6, 9, 10)


def test_the_gallery_trains_if_no_photo_is_said_to() -> None:
    assert split(rows("database", "gallery", "gallery", "query")) == Split((0, 1, 2), (), (3,))


def test_another_column_may_be_named() -> None:
    assert split(rows("train", "train", "train", "test", column="Set"), column="Set").test == (3,)


def test_a_share_of_the_training_photos_of_each_individual_validates_if_no_photo_is_said_to() -> None:
    records = rows(*["train"] * 20, "test", "test")
    parts = split(records, validation=0.2)
    assert [sum(photo % 2 == which for photo in parts.validation) for which in (0, 1)] == [2, 2]
    assert sorted(parts.train + parts.validation) == list(range(20))
    said = split(rows("train", "train", "train", "val", "val", "val", "test"), validation=0.5)
    assert said.validation == (3, 4, 5)


def test_unknown_and_empty_words_are_counted_with_their_photos_and_near_words() -> None:
    with pytest.raises(DataError) as caught:
        split(rows("train", "trian", "trian", "", "test", "holdout"))
    assert caught.value.message.startswith("column 'split' says for 4 of 6 photos no part that is known: write train")
    assert caught.value.details == (
        "'trian' (did you mean 'train'?): 2 photos, 1.jpg, 2.jpg",
        "empty: 1 photo, 3.jpg",
        "'holdout': 1 photo, 5.jpg",
    )


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (rows("a", "b", column="splits"), r"no photo has a column 'split' \(did you mean 'splits'\?\).*are splits"),
        (rows("", ""), "no photo has a column 'split'"),
        ([Record("x.jpg", "x", rows("")[0].source)], "the photos have no further columns"),
        (rows("test", "test", "val"), "column 'split' says train or gallery for no photo"),
        (rows("train", "train", "gallery"), "column 'split' says test or query for no photo"),
    ],
)
def test_a_column_that_says_nothing_is_refused(records: list[Record], message: str) -> None:
    with pytest.raises(DataError, match=message):
        split(records)


@pytest.mark.parametrize("numbers", [("1", "2", "10"), ("fold 1", "fold 2", "fold 10")])
def test_with_folds_the_column_names_them_in_natural_order(numbers: tuple[str, str, str]) -> None:
    records = rows_of(*((name, fold) for fold in numbers for name in "abab"), columns=["split"])
    for fold in (1, 2, 3):
        test = split(records, folds=3, fold=fold).test
        assert {records[photo].attributes["split"] for photo in test} == {numbers[fold - 1]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("123123", "3 different values \\(1, 2, 3\\), not one for each of split.folds = 4"),
        (["1", "", "2", "3"], "1 photos have no fold in column 'split': 1.jpg"),
    ],
)
def test_folds_that_the_column_does_not_have_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        split(rows(*words), folds=4)


UNMATCHED = rows_of(
    ("a", "train"), ("a", "train"), ("b", "train"), ("a", "test"), ("c", "test"), ("c", "test"), ("d", "test"),
    columns=["split"],
)  # fmt: skip


def test_test_photos_that_nothing_could_match_are_refused_by_count() -> None:
    with pytest.raises(DataError, match="3 of 4 test photos show 2 individuals without a photo outside") as caught:
        split(UNMATCHED)
    assert caught.value.details == ("4.jpg: c", "5.jpg: c", "6.jpg: d")


def test_they_are_left_out_or_new_if_that_is_said() -> None:
    assert split(UNMATCHED, unmatched="leave-out") == Split((0, 1, 2), (), (3,), (), left_out=(4, 5, 6))
    new = split(UNMATCHED, unmatched="new")
    assert new == Split((0, 1, 2), (), (3, 4, 5, 6)) and searches_gallery("column", new, UNMATCHED)


def test_a_photo_that_is_only_searched_matches() -> None:
    records = rows_of(
        ("a", "train"), ("a", "train"), ("b", "train"), ("c", "gallery"), ("c", "query"), columns=["split"]
    )
    assert split(records).parts() == {"train": (0, 1, 2), "test": (4,), "gallery": (3,)}


def test_a_column_that_keeps_all_test_individuals_apart_is_a_split_by_identity() -> None:
    records = rows_of(*((name, "train") for name in "aabb"), *((name, "test") for name in "ccdd"), columns=["split"])
    parts = split(records)
    assert who(records, parts.test) == {"c", "d"} and not searches_gallery("column", parts, records)
    with pytest.raises(DataError, match="the test part would have 1 individuals, 1 of them with two photos"):
        split(records[:6])
