"""The file of embeddings: rows, checksums, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from siamesekit.components.stores.embedding_matrix import EmbeddingMatrix
from siamesekit.errors import ArtifactError, OutputError

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    matrix = EmbeddingMatrix(tmp_path / "m.f32", 3)
    first, second = matrix.store(0, ROWS[:3]), matrix.store(3, ROWS[3:])
    np.testing.assert_array_equal(matrix.read(4), ROWS)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "m.f32", "<f4").reshape(4, 3), ROWS)
    matrix.verify([first, second])
    assert EmbeddingMatrix(tmp_path / "none.f32", 3).read(0).shape == (0, 3)


def test_rows_that_never_counted_are_replaced(tmp_path: Path) -> None:
    matrix = EmbeddingMatrix(tmp_path / "m.f32", 3)
    matrix.store(0, ROWS[:1])
    matrix.store(1, ROWS)
    matrix.store(1, ROWS[1:2])
    np.testing.assert_array_equal(matrix.read(2), ROWS[:2])
    assert (tmp_path / "m.f32").stat().st_size == 2 * 3 * 4


def test_changes_to_the_array_do_not_reach_the_file(tmp_path: Path) -> None:
    matrix = EmbeddingMatrix(tmp_path / "m.f32", 3)
    matrix.store(0, ROWS)
    matrix.read(4)[0] = 99
    np.testing.assert_array_equal(matrix.read(4), ROWS)


def test_damage_is_named(tmp_path: Path) -> None:
    file = tmp_path / "m.f32"
    matrix = EmbeddingMatrix(file, 3)
    batches = [matrix.store(0, ROWS[:2]), matrix.store(2, ROWS[2:])]
    content = bytearray(file.read_bytes())
    content[30] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged in rows 2 to 3"):
        matrix.verify(batches)
    file.write_bytes(content[:40])
    with pytest.raises(ArtifactError, match="truncated: 40 bytes, expected 48"):
        matrix.read(4)
    with pytest.raises(ArtifactError, match="truncated"):
        matrix.verify(batches)
    file.unlink()
    with pytest.raises(ArtifactError, match="is missing"):
        matrix.read(4)


def test_a_refused_write_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory; the catalogue is unchanged"):
        EmbeddingMatrix(tmp_path / "gone" / "m.f32", 3).store(0, ROWS)
