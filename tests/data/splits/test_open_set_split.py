"""The open-set split: unseen individuals only test, in one fold at most; the photos of the others are split."""

from __future__ import annotations

from collections import Counter

import pytest
from made_records import records_of, who

from siamesekit.data.splits import Split, SplitOptions, split_records


def unseen(counts: list[int], parts: Split) -> set[str]:
    records = records_of(counts)
    return who(records, parts.test) - who(records, parts.searched())


@pytest.mark.parametrize(("share", "count"), [(0.2, 2), (0.01, 1), (0.5, 5)])
def test_the_share_of_the_individuals_only_tests_and_the_others_are_split_by_photo(share: float, count: int) -> None:
    records = records_of([8] * 10)
    parts = split_records(records, "open-set", 0.75, 0.0, (), 0, SplitOptions(unseen=share))
    new = unseen([8] * 10, parts)
    assert len(new) == count
    tested = Counter(records[photo].individual for photo in parts.test)
    assert tested == {name: 8 if name in new else 2 for name in who(records, range(80))}


def test_in_the_other_folds_an_unseen_individual_trains_with_all_photos() -> None:
    records = records_of([6] * 10)
    folds = [
        split_records(records, "open-set", 0.9, 0.0, (), 0, SplitOptions(unseen=0.2, folds=3, fold=fold))
        for fold in (1, 2, 3)
    ]
    new = [unseen([6] * 10, parts) for parts in folds]
    assert [len(names) for names in new] == [2, 2, 2] and len(set().union(*new)) == 6
    for parts, names in zip(folds, new, strict=True):
        tested = Counter(records[photo].individual for photo in parts.test)
        others = set().union(*new) - names
        assert not others & {*tested}
        assert all(tested[name] == (6 if name in names else 2) for name in who(records, range(60)) - others)
