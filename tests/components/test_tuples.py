"""Triplets and pairs: the order that every unpacking relies on, and what of a batch they are."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers import rows_of
from oracles import ordered_pairs, triplets_of
from siamesekit.components.tuples import (
    Pairs,
    Triplets,
    all_candidates,
    all_pairs,
    as_pairs,
    as_triplets,
    by_individual,
    candidates_of,
    count_triplets,
    count_triplets_of,
    positives_of,
)

Labels = st.lists(st.integers(-3, 3), max_size=12)


def test_unpacks_as_anchor_positive_negative() -> None:
    anchor, positive, negative = Triplets(
        negative=torch.tensor([3]), anchor=torch.tensor([1]), positive=torch.tensor([2])
    )
    assert [index.item() for index in (anchor, positive, negative)] == [1, 2, 3]


@given(Labels)
def test_an_individuals_photos_stand_in_a_row(labels: list[int]) -> None:
    order, start, size = by_individual(torch.tensor(labels, dtype=torch.int64))
    for photo, label in enumerate(labels):
        row = order[start[photo] : start[photo] + size[photo]].tolist()
        assert row == [other for other, its in enumerate(labels) if its == label]


@given(Labels)
def test_positives_are_the_other_photos_of_the_individual(labels: list[int]) -> None:
    photos, there = positives_of(torch.tensor(labels, dtype=torch.int64))
    assert photos.shape == there.shape == (len(labels), max(map(labels.count, labels), default=0))
    for photo, label in enumerate(labels):
        others = [other for other, its in enumerate(labels) if its == label and other != photo]
        assert photos[photo][there[photo]].tolist() == others
        assert set(photos[photo][~there[photo]].tolist()) == {photo}


@given(Labels)
def test_triplets_are_counted_as_a_loop_counts_them(labels: list[int]) -> None:
    assert count_triplets(torch.tensor(labels, dtype=torch.int64)) == len(triplets_of(labels))


PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=10)


def columns(pairs: list[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    first, second = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).unbind(1)
    return first, second


@given(Labels)
def test_all_pairs_are_those_of_a_loop_in_its_order(labels: list[int]) -> None:
    anchor, positive, other_anchor, negative = all_pairs(torch.tensor(labels, dtype=torch.int64))
    assert rows_of((anchor, positive)) == ordered_pairs(labels, same=True)
    assert rows_of((other_anchor, negative)) == ordered_pairs(labels, same=False)


@given(Labels)
def test_without_tuples_the_pairs_are_all_and_pairs_stay_what_they_are(labels: list[int]) -> None:
    individuals = torch.tensor(labels, dtype=torch.int64)
    every = all_pairs(individuals)
    assert all(torch.equal(one, two) for one, two in zip(as_pairs(None, individuals), every, strict=True))
    assert as_pairs(every, individuals) is every


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), max_size=12))
def test_of_triplets_each_pair_is_taken_once(triplets: list[tuple[int, int, int]]) -> None:
    chosen = Triplets(*torch.tensor(triplets, dtype=torch.int64).reshape(-1, 3).unbind(1))
    anchor, positive, other_anchor, negative = as_pairs(chosen, torch.zeros(4, dtype=torch.int64))
    assert rows_of((anchor, positive)) == sorted({(a, p) for a, p, _ in triplets})
    assert rows_of((other_anchor, negative)) == sorted({(a, n) for a, _, n in triplets})


def test_pairs_of_photos_of_a_list_of_billions_are_told_apart() -> None:
    """N² is below 2⁶³ up to N = 3,037,000,499; labels that take no memory."""
    huge = 3_037_000_499
    labels = torch.zeros(1, dtype=torch.int64).expand(huge)
    chosen = Triplets(
        *torch.tensor(
            [[huge - 1, huge - 2, huge - 1, 0], [huge - 2, huge - 1, huge - 2, 1], [0, huge - 3, 0, huge - 1]]
        )
    )
    pairs = as_pairs(chosen, labels)
    assert rows_of((pairs.anchor, pairs.positive)) == [(0, 1), (huge - 2, huge - 1), (huge - 1, huge - 2)]
    assert rows_of((pairs.other_anchor, pairs.negative)) == [(0, huge - 1), (huge - 2, huge - 3), (huge - 1, 0)]


def test_distinct_pairs_are_found_by_sorting_numbers_and_not_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """`unique` of rows takes 30 times as long."""
    shapes, unique = [], torch.Tensor.unique

    def seen(values: torch.Tensor, *args: object, **options: object) -> object:
        shapes.append(values.ndim)
        return unique(values, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.Tensor, "unique", seen)
    as_pairs(Triplets(*torch.tensor([[0, 0], [1, 1], [2, 3]])), torch.tensor([0, 0, 1, 1]))
    assert shapes == [1, 1]


@given(PAIRS, PAIRS)
def test_of_pairs_every_positive_meets_every_negative_of_its_anchor(
    positives: list[tuple[int, int]], negatives: list[tuple[int, int]]
) -> None:
    found = as_triplets(Pairs(*columns(positives), *columns(negatives)))
    expected = [(a, p, n) for a, p in positives for b, n in negatives if a == b]
    assert Counter(rows_of(found)) == Counter(expected)


@given(PAIRS, PAIRS)
def test_candidates_are_the_positives_and_negatives_of_each_anchor(
    positives: list[tuple[int, int]], negatives: list[tuple[int, int]]
) -> None:
    pairs = Pairs(*columns(positives), *columns(negatives))
    expected = [(a, p, n) for a, p in positives for b, n in negatives if a == b]
    assert count_triplets_of(pairs, 6) == len(expected)
    found = candidates_of(pairs, 6)
    of_anchors = [pair for pair in negatives if pair[0] in {a for a, _ in positives}]
    if len(set(of_anchors)) < len(of_anchors):
        assert found is None
        return
    assert found is not None
    assert found.triplets() == len(expected)
    assert found.anchor.tolist() == sorted({a for a, _ in positives})
    for row, anchor in enumerate(found.anchor.tolist()):
        assert found.positive[row][found.mask[row]].tolist() == [p for a, p in positives if a == anchor]
        assert found.negative[row].nonzero()[:, 0].tolist() == sorted(n for a, n in negatives if a == anchor)


@given(Labels)
def test_all_candidates_are_those_of_all_pairs(labels: list[int]) -> None:
    individuals = torch.tensor(labels, dtype=torch.int64)
    found = all_candidates(individuals)
    assert found.triplets() == count_triplets(individuals) == count_triplets_of(all_pairs(individuals), len(labels))
    expected = candidates_of(all_pairs(individuals), len(labels))
    assert expected is not None
    for row, anchor in enumerate(expected.anchor.tolist()):
        assert found.anchor[anchor] == anchor
        mine, theirs = (each.positive[at][each.mask[at]] for each, at in ((found, anchor), (expected, row)))
        assert torch.equal(mine, theirs)
        assert torch.equal(found.negative[anchor], expected.negative[row])


def test_triplets_and_none_stay_what_they_are() -> None:
    triplets = Triplets(*torch.tensor([[0], [1], [2]]))
    assert as_triplets(triplets) is triplets
    assert as_triplets(None) is None
