"""Near-duplicates: clusters against a loop, and the split that keeps each in one part."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import records_of, who

from siamesekit.data.splits import SplitOptions, similarity, split_records
from siamesekit.data.splits.similarity import clusters_of, near_to
from siamesekit.errors import DataError


def slow_clusters(vectors: np.ndarray, least: float) -> list[int]:
    """The lowest index that each photo reaches by steps between near photos."""
    cosine = [[a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for b in vectors] for a in vectors]
    lowest = list(range(len(vectors)))
    for _ in vectors:
        for i in range(len(vectors)):
            lowest[i] = min(lowest[j] for j in range(len(vectors)) if cosine[i][j] >= least)
    return lowest


@given(st.integers(1, 14), st.floats(0.3, 0.99), st.integers(0, 999))
@settings(deadline=None, max_examples=25)
def test_clusters_and_near_photos_are_those_of_a_loop_across_chunks(count: int, least: float, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity, "CHUNK", 4)
        assert clusters_of(vectors, least).tolist() == slow_clusters(vectors, least)
        half = count // 2
        expected = [
            any(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) >= least for b in vectors[half:])
            for a in vectors[:half]
        ]
        assert near_to(vectors[:half], vectors[half:], least).tolist() == expected


def test_no_cluster_is_in_two_parts_and_an_individual_of_one_cluster_trains() -> None:
    records = records_of([6] * 6)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(6, 3, 8))  # three scenes of each individual, the first has one
    scene = [0 if record.individual == "i00" else int(record.name[-5]) // 2 for record in records]
    vectors = np.array([
        centres[int(record.individual[1:]), at] + 0.01 * rng.normal(size=8)
        for record, at in zip(records, scene, strict=True)
    ])  # fmt: skip
    parts = split_records(records, "similarity", 0.6, 0.0, (), 0, SplitOptions(embeddings=vectors))
    sides = [{(records[i].individual, scene[i]) for i in part} for part in (parts.train, parts.test)]
    assert sides[0] & sides[1] == set()
    assert who(records, parts.test) == {f"i0{i}" for i in range(1, 6)}


def test_embeddings_without_a_direction_are_counted() -> None:
    vectors = np.ones((5, 2))
    vectors[2] = 0
    vectors[4] = np.nan
    with pytest.raises(DataError, match="2 of 5 embeddings are zero, NaN or infinite, the first of them number 3"):
        clusters_of(vectors, 0.9)


def test_without_embeddings_there_are_no_near_duplicates() -> None:
    with pytest.raises(DataError, match=r"needs embeddings of the photos: set split.embeddings"):
        split_records(records_of([3, 3]), "similarity", 0.5, 0.0, (), 0)
