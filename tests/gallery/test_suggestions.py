"""Suggestions and questions, on probabilities small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from siamesekit.gallery import suggestions
from siamesekit.gallery.clustering import average_linkage
from siamesekit.gallery.links import Links
from siamesekit.gallery.suggestions import merges, named, questions, splits


def table(*pairs: tuple[int, int, float], count: int) -> NDArray[np.float32]:
    """Probabilities of pairs, 0.01 for all others."""
    found = np.full((count, count), 0.01, np.float32)
    for a, b, chance in pairs:
        found[a, b] = found[b, a] = chance
    np.fill_diagonal(found, 0)
    return found


def test_near_individuals_are_suggested_for_a_merge_the_likeliest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggestions, "ROWS", 2)
    chances = table((0, 2, 0.9), (1, 2, 0.3), (0, 3, 0.4), (1, 3, 0.4), (3, 4, 0.7), (4, 0, 0.2), count=5)
    groups = np.array([0, 0, 1, 1, 2])
    first, second = merges(chances, groups, Links(5))
    assert (first.first, first.second, first.photos, first.sizes) == (0, 1, (0, 2), (2, 2))
    assert first.probability == pytest.approx((0.9 + 0.3 + 0.4 + 0.4) / 4) and first.nearest == pytest.approx(0.9)
    assert (second.first, second.second, second.photos) == (1, 2, (3, 4))
    assert second.probability == pytest.approx((0.7 + 0.01) / 2)
    assert merges(chances, groups, Links(5, cannot=((1, 3),))) == [second]


def test_an_individual_in_two_parts_is_suggested_for_a_split() -> None:
    chances = table((0, 1, 0.9), (1, 2, 0.9), (0, 2, 0.8), (3, 4, 0.95), (2, 3, 0.2), (5, 6, 0.9), count=7)
    (split,) = splits(chances, np.array([0, 0, 0, 0, 0, 1, 1]), Links(7))
    assert (split.group, split.leaving.tolist(), split.size, split.photos) == (0, [3, 4], 5, (2, 3))
    assert split.probability == pytest.approx((0.2 + 5 * 0.01) / 6) and split.nearest == pytest.approx(0.2)
    groups = np.array([0, 0, 0, 0, 0, 1, 1])
    assert splits(chances, groups, Links(7, must=((0, 1), (1, 2), (2, 3), (3, 4)))) == []


def test_photos_that_a_person_has_told_apart_are_split_however_near() -> None:
    chances = table((0, 1, 0.9), count=2)
    (split,) = splits(chances, np.zeros(2, np.int64), Links(2, cannot=((0, 1),)))
    assert (split.photos, split.leaving.tolist()) == ((1, 0), [0])


def test_the_next_question_is_the_one_that_changes_most() -> None:
    pairs = [(a, b, 0.9) for group in ((0, 1, 2), (3, 4, 5)) for a in group for b in group if a < b]
    chances = table(*pairs, (2, 3, 0.6), (6, 7, 0.55), (5, 6, 0.4), count=8)
    clusters = average_linkage(1 - chances).labels
    assert clusters.tolist() == [0, 0, 0, 3, 3, 3, 6, 6]
    found = questions(chances, clusters, Links(8), most=10)
    changes = {each.photos: each.change for each in found}
    assert changes[2, 3] == pytest.approx(0.6 + 8 * 0.01)  # 9 pairs of mean probability 0.68 / 9
    assert changes[6, 7] == pytest.approx(0.45)
    assert changes[5, 6] == pytest.approx(0.4 + 5 * 0.01)
    assert [each.photos for each in found] == sorted(changes, key=lambda pair: -changes[pair])
    assert found[0].photos == (2, 3) and found[0].probability == pytest.approx(0.6)
    assert questions(chances, clusters, Links(8), most=1) == found[:1]


def test_what_is_answered_is_not_asked_again() -> None:
    chances = table((0, 1, 0.6), (1, 2, 0.3), count=3)
    links = Links(3, must=((0, 1),), cannot=((1, 2),))
    assert questions(chances, np.array([0, 0, 2]), links, most=10) == []


def test_groups_are_individuals_and_clusters_of_the_others() -> None:
    groups, names = named(["Bo", "", "Al", "", "Bo", ""], np.array([1, 2, 1, 2, 3, 10]))
    assert names == ["Al", "Bo", "cluster 2", "cluster 10"] and groups.tolist() == [1, 2, 0, 2, 1, 3]
    groups, names = named(["cluster 2", ""], np.array([1, 2]))
    assert groups.tolist() == [0, 1]
