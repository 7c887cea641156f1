"""Triplets: the order that every unpacking relies on, and the negatives of all pairs."""

from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from siamesekit.triplets import (
    Pairs,
    Triplets,
    all_candidates,
    all_pairs,
    all_pairs_triplets,
    as_pairs,
    as_triplets,
    by_individual,
    candidates_of,
    count_triplets,
    count_triplets_of,
    pair_of,
    positives_of,
    random_triplets,
)

Labels = st.lists(st.integers(-3, 3), max_size=12)


def test_unpacks_as_anchor_positive_negative() -> None:
    anchor, positive, negative = Triplets(
        negative=torch.tensor([3]), anchor=torch.tensor([1]), positive=torch.tensor([2])
    )
    assert [index.item() for index in (anchor, positive, negative)] == [1, 2, 3]


def test_negatives_are_uniform_over_the_other_individuals_then_over_their_photos() -> None:
    labels = np.repeat([0, 1, 2], [40, 2, 8])  # 780 pairs of individual 0; its negatives are of 1 and 2
    rows = torch.stack(list(all_pairs_triplets(labels, 40, np.random.default_rng(0))), 1).numpy()
    negatives = rows[labels[rows[:, 0]] == 0, 2]
    share = np.bincount(negatives, minlength=50)[40:] / len(negatives)
    np.testing.assert_allclose(share[:2], 1 / 4, atol=0.05)
    np.testing.assert_allclose(share[2:], 1 / 16, atol=0.03)


@pytest.mark.parametrize("labels", [[], [3], [5, 5, 5]], ids=["nobody", "one photo", "one individual"])
def test_without_a_negative_there_is_no_triplet(labels: list[int]) -> None:
    found = all_pairs_triplets(np.array(labels, dtype=np.int64), 10, np.random.default_rng(0))
    assert [index.tolist() for index in found] == [[], [], []]
    assert {index.dtype for index in found} == {torch.int64}


def test_no_pair_makes_no_triplet() -> None:
    assert [len(index) for index in all_pairs_triplets(np.arange(3), 10, np.random.default_rng(0))] == [0, 0, 0]


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
    every = range(len(labels))
    found = sum(a != p and labels[a] == labels[p] != labels[n] for a, p, n in product(every, every, every))
    assert count_triplets(torch.tensor(labels, dtype=torch.int64)) == found


PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=10)


def rows(*columns: torch.Tensor) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in columns), strict=True))


def columns(pairs: list[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    first, second = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).unbind(1)
    return first, second


@given(Labels)
def test_all_pairs_are_those_of_a_loop_in_its_order(labels: list[int]) -> None:
    every = [(i, j) for i, j in product(range(len(labels)), repeat=2) if i != j]
    anchor, positive, other_anchor, negative = all_pairs(torch.tensor(labels, dtype=torch.int64))
    assert rows(anchor, positive) == [(i, j) for i, j in every if labels[i] == labels[j]]
    assert rows(other_anchor, negative) == [(i, j) for i, j in every if labels[i] != labels[j]]


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
    assert rows(anchor, positive) == sorted({(a, p) for a, p, _ in triplets})
    assert rows(other_anchor, negative) == sorted({(a, n) for a, _, n in triplets})


def test_pairs_of_photos_of_a_list_of_billions_are_told_apart() -> None:
    """N² is below 2⁶³ up to N = 3,037,000,499; labels that take no memory."""
    huge = 3_037_000_499
    labels = torch.zeros(1, dtype=torch.int64).expand(huge)
    chosen = Triplets(*torch.tensor([[huge - 1, huge - 2, huge - 1, 0], [huge - 2, huge - 1, huge - 2, 1],
                                     [0, huge - 3, 0, huge - 1]]))  # fmt: skip
    pairs = as_pairs(chosen, labels)
    assert rows(pairs.anchor, pairs.positive) == [(0, 1), (huge - 2, huge - 1), (huge - 1, huge - 2)]
    assert rows(pairs.other_anchor, pairs.negative) == [(0, huge - 1), (huge - 2, huge - 3), (huge - 1, 0)]


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
    assert Counter(rows(*found)) == Counter(expected)


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
        assert found.positive[row][found.there[row]].tolist() == [p for a, p in positives if a == anchor]
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
        mine, theirs = (each.positive[at][each.there[at]] for each, at in ((found, anchor), (expected, row)))
        assert torch.equal(mine, theirs)
        assert torch.equal(found.negative[anchor], expected.negative[row])


def test_triplets_and_none_stay_what_they_are() -> None:
    triplets = Triplets(*torch.tensor([[0], [1], [2]]))
    assert as_triplets(triplets) is triplets
    assert as_triplets(None) is None


@given(st.lists(st.integers(1, 7), min_size=2, max_size=6), st.integers(0, 99), st.integers(0, 90))
def test_random_triplets_are_valid_and_pairs_come_equally_often(counts: list[int], seed: int, count: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)) * 3 - 4, counts))
    pairs = [(i, j) for i, j in combinations(range(len(labels)), 2) if labels[i] == labels[j]]
    found = random_triplets(labels, count, np.random.default_rng(seed))
    rows = torch.stack(list(found), 1).tolist()
    assert len(rows) == ((count or len(pairs)) if pairs else 0)
    for anchor, positive, negative in rows:
        assert anchor != positive
        assert labels[anchor] == labels[positive] != labels[negative]
    often = Counter(tuple(sorted(row[:2])) for row in rows)
    for pair in pairs:
        assert len(rows) // len(pairs) <= often[pair] <= -(-len(rows) // len(pairs))


def test_random_triplets_draw_pairs_sides_and_negatives_uniformly() -> None:
    """40,000 triplets of 780 + 1 + 28 pairs; the negatives as those of `all_pairs_triplets`."""
    labels = np.repeat([0, 1, 2], [40, 2, 8])
    drawn = [random_triplets(labels, 100, np.random.default_rng(seed)) for seed in range(400)]
    anchor, positive, negative = (torch.cat([each[i] for each in drawn]).numpy() for i in range(3))
    np.testing.assert_allclose((anchor < positive).mean(), 0.5, atol=0.015)
    share = np.bincount(labels[anchor], minlength=3) / len(anchor)
    np.testing.assert_allclose(share, np.array([780, 1, 28]) / 809, atol=0.004)
    of_first = np.bincount(negative[labels[anchor] == 0], minlength=50)[40:] / (labels[anchor] == 0).sum()
    np.testing.assert_allclose(of_first, [1 / 4] * 2 + [1 / 16] * 8, atol=0.01)


def test_random_triplets_of_a_huge_individual_need_no_list_of_its_pairs() -> None:
    """200,000 photos make 2 · 10^10 pairs, whose numbers would be 160 GB."""
    labels = np.r_[np.zeros(200_000, dtype=np.int64), 1]
    anchor, positive, negative = random_triplets(labels, 10, np.random.default_rng(0))
    assert len(set(zip(anchor.tolist(), positive.tolist(), strict=True))) == 10
    assert set(negative.tolist()) == {200_000}


def test_random_triplets_without_a_pair_or_a_negative_are_none() -> None:
    for labels in ([], [0, 1, 2], [5, 5, 5]):
        found = random_triplets(np.array(labels, dtype=np.int64), 7, np.random.default_rng(0))
        assert [index.tolist() for index in found] == [[], [], []]


def test_pairs_are_numbered_column_by_column() -> None:
    expected = [(i, j) for j in range(60) for i in range(j)]
    assert list(zip(*(index.tolist() for index in pair_of(np.arange(len(expected)))), strict=True)) == expected
    huge = np.array([2**25 * (2**25 - 1) // 2 - 1, 2**25 * (2**25 - 1) // 2])
    i, j = pair_of(huge)
    assert ((i >= 0) & (i < j)).all()
    assert [int(b) * (int(b) - 1) // 2 + int(a) for a, b in zip(i, j, strict=True)] == huge.tolist()
