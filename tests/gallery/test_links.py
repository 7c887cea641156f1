"""Must-links and cannot-links, and what follows from them."""

from __future__ import annotations

import numpy as np

from siamesekit.gallery.links import Links, groups_of, joined, path


def test_links_tell_of_pairs_that_nobody_has_compared() -> None:
    links = Links(7, must=((0, 1), (1, 4), (2, 5)), cannot=((4, 5),))
    assert links.components.tolist() == [0, 0, 2, 3, 0, 2, 6]
    assert links.same(0, 4) is True and links.same(0, 2) is False and links.same(1, 5) is False
    assert links.same(0, 3) is None and links.same(3, 3) is True
    assert links.contradictions() == []
    assert [each.tolist() for each in links.members()] == [[0, 1, 4], [2, 5]]
    assert [(a.tolist(), b.tolist()) for a, b in links.cannot_blocks()] == [([0, 1, 4], [2, 5])]


def test_links_among_some_photos_keep_what_follows_from_the_others() -> None:
    links = Links(6, must=((0, 1), (1, 2)), cannot=((1, 5),))
    own = links.among(np.array([0, 2, 4, 5]))
    assert own.same(0, 1) is True and own.same(1, 3) is False and own.same(0, 2) is None


def test_a_contradiction_is_found_with_the_chain_that_causes_it() -> None:
    links = Links(5, must=((0, 1), (3, 4), (1, 2)), cannot=((0, 2), (0, 3)))
    assert links.contradictions() == [(0, 2)]
    assert path(links.must, 0, 2) == [0, 2]
    assert path(links.must, 0, 4) == []


def test_groups_are_in_the_order_of_their_labels() -> None:
    assert [each.tolist() for each in groups_of(np.array([3, 1, 3, 2]))] == [[1], [3], [0, 2]]
    assert groups_of(np.array([], np.int64)) == []
    assert joined(4, [(3, 2), (2, 1)]).tolist() == [0, 1, 1, 1]
