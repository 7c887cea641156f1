"""The drawn embeddings of a catalogue of millions."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import millions
from benchmarks.millions import DIMENSIONS, EACH, drawn, write, write_queries
from siamesekit.artifact.embedding_reading import holds_embeddings, read_embeddings


def test_photos_of_an_individual_are_near_each_other_also_in_the_queries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(millions, "BLOCK", 7)  # the last block is not whole
    file, queries = tmp_path / "e.parquet", tmp_path / "q.parquet"
    write(str(file), 195)
    write_queries(str(queries), 195)
    assert holds_embeddings(file)
    known, asked = (
        [np.concatenate([getattr(part, what) for part in read_embeddings(place, DIMENSIONS)]) for what in
         ("paths", "individuals", "embeddings")] for place in (file, queries)
    )  # fmt: skip
    assert len(known[0]) == len(set(known[0])) == 195 and not set(known[0]) & set(asked[0])
    assert known[1].tolist() == [f"animal-{number // EACH:07}" for number in range(195)]
    assert asked[1].tolist() == [f"animal-{number:07}" for number in range(19)]
    np.testing.assert_allclose(np.linalg.norm(known[2], axis=1), 1, rtol=1e-5)
    likeness = asked[2] @ known[2].T
    same = asked[1][:, None] == known[1][None]
    assert likeness[same].mean() > 0.3 and abs(likeness[~same].mean()) < 0.05
    rows = np.concatenate([rows for _, rows in drawn(20)])[:195]
    np.testing.assert_array_equal(rows, known[2])
