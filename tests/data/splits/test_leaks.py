"""Leaks: each count against a loop over all pairs of photos, and the sentences that say them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import records_of, rows_of

from siamesekit.data.splits import Split, SplitOptions, leaks_of


@given(st.integers(0, 999))
@settings(deadline=None, max_examples=25)
def test_each_count_is_that_of_a_loop_over_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = [*map(int, rng.integers(1, 5, size=5))]
    total = sum(counts)
    seen = [["", "x", "y", "z"][k] for k in rng.integers(4, size=total)]
    records = records_of(counts, encounter=seen)
    part = rng.integers(4, size=total)
    parts = Split(*(tuple(np.flatnonzero(part == k).tolist()) for k in range(4)))
    pixels, vectors = [bytes([k]) for k in rng.integers(8, size=total)], rng.normal(size=(total, 2))
    if not parts.searched():
        return
    found = leaks_of(records, parts, SplitOptions(embeddings=vectors), pixels)
    same, identical, near, known = 0, 0, 0, 0
    for query in parts.test:
        others = parts.searched()
        same += any(seen[query] and seen[query] == seen[other] for other in others)
        identical += any(pixels[query] == pixels[other] for other in others)
        near += any(
            vectors[query] @ vectors[other] >= 0.95 * np.linalg.norm(vectors[query]) * np.linalg.norm(vectors[other])
            for other in others
        )
        known += any(records[query].individual == records[other].individual for other in others)
    assert (found.identical, found.near_duplicates, found.unmatched) == (identical, near, len(parts.test) - known)
    assert found.unknown_encounter == sum(not seen[query] for query in parts.test)
    assert found.same_encounter == (same if any(seen[query] for query in parts.test) else None)


def test_the_counts_are_said_with_the_parts_that_they_are_about() -> None:
    records = rows_of(("a", "1"), ("a", "1"), ("b", "2"), ("b", ""), ("c", "3"), columns=["encounter"])
    split = Split(train=(0,), validation=(), test=(1, 3, 4), gallery=(2,))
    options = SplitOptions(embeddings=np.eye(5)[[0, 0, 1, 1, 2]], similarity=0.9)
    assert leaks_of(records, split, options, [b"p", b"p", b"q", b"r", b"s"]).sentences() == [
        "1 of 3 test photos share an encounter with a training or gallery photo; the encounter of 1 is unknown.",
        "1 of 3 test photos have the same pixels as a training or gallery photo.",
        "2 of 3 test photos are near-duplicates of a training or gallery photo (cosine similarity of 0.9 or more).",
        "1 of 3 test photos are of new individuals, without a training or gallery photo.",
    ]


def test_nothing_is_said_of_what_is_unknown_nor_of_photos_that_differ() -> None:
    records = records_of([3, 3])
    leaks = leaks_of(records, Split((0, 1, 2, 3), (), (4, 5)), SplitOptions(), [bytes([k]) for k in range(6)])
    assert (leaks.sentences(), leaks.same_encounter, leaks.identical) == ([], None, 0)
    assert leaks.as_json()["near_duplicates"] is None


def test_that_no_encounter_leaks_is_said_if_encounters_are_known() -> None:
    records = rows_of(("a", "2020-01-01"), ("a", "2020-01-02"), columns=["date"])
    found = leaks_of(records, Split((0,), (), (1,)), SplitOptions())
    assert found.sentences() == ["0 of 1 test photos share an encounter with a training photo."]
    assert leaks_of(records, Split((0,), (), (1,)), SplitOptions(gap_seconds=90_000)).same_encounter == 1
