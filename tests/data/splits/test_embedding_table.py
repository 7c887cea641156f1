"""Embeddings from a file: which row belongs to which photo, and files that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from siamesekit.artifact.embedding_files import write_embeddings
from siamesekit.data.records import Record
from siamesekit.data.splits.embedding_table import embeddings_from
from siamesekit.errors import DataError

VECTORS = np.arange(8, dtype=np.float32).reshape(4, 2)


def records(*names: str) -> list[Record]:
    return [Record(name, "x", Path("y")) for name in names]


def test_a_row_belongs_to_the_photo_whose_name_ends_its_path(tmp_path: Path) -> None:
    paths = [Path("/data/photos/b/1.jpg"), Path("photos/a/1.jpg"), Path("1.jpg"), Path("elsewhere/2.jpg")]
    write_embeddings(tmp_path / "e.npz", paths, VECTORS)
    found = embeddings_from(tmp_path / "e.npz", records("a/1.jpg", "b/1.jpg", "1.jpg"))
    np.testing.assert_array_equal(found, VECTORS[[1, 0, 2]])


def test_photos_without_a_row_and_with_several_are_counted(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e.npz", [Path("p/1.jpg"), Path("q/1.jpg"), Path("2.jpg"), Path("r/2.jpg")], VECTORS)
    with pytest.raises(DataError, match="2 of 3 photos have no embedding") as caught:
        embeddings_from(tmp_path / "e.npz", records("p/1.jpg", "3.jpg", "4.jpg"))
    assert caught.value.details == ("3.jpg", "4.jpg")
    with pytest.raises(DataError, match="2 photos have several different embeddings") as caught:
        embeddings_from(tmp_path / "e.npz", records("1.jpg", "2.jpg"))
    assert caught.value.details == ("1.jpg: p/1.jpg and q/1.jpg", "2.jpg: 2.jpg and r/2.jpg")


@pytest.mark.parametrize(
    "arrays",
    [
        {"path": np.array(["a"])},
        {"path": np.array([1]), "embedding": np.ones((1, 2))},
        {"path": np.array(["a", "b"]), "embedding": np.ones((1, 2))},
        {"path": np.array(["a"]), "embedding": np.ones(1)},
        {"path": np.array(["a"], dtype=object), "embedding": np.ones((1, 2))},
    ],
)
def test_a_file_of_other_arrays_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "e.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"it must be a .npz from siamesekit embed, with the arrays path and embedding"):
        embeddings_from(tmp_path / "e.npz", records("a"))


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04 torn"])
def test_no_file_or_no_archive_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "e.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        embeddings_from(tmp_path / "e.npz", records("a"))
