"""Files of embeddings are read as they were written, some rows at a time; damaged ones are refused."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siamesekit.artifact.embedding_files import write_embeddings
from siamesekit.artifact.embedding_reading import holds_embeddings, number_of_rows, read_embeddings
from siamesekit.errors import DataError

ROWS = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
PATHS = [Path(f"photos/{name}") for name in ("a.jpg", "=b.jpg", 'c "c".jpg', "d,d.jpg", "é.jpg", "f\nf.jpg", "g.jpg")]
NAMES = ["Ann", "", "-Bob", "Cy; =Cy", "Zoé", "Ann", "Di"]


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet"])
def test_a_file_is_read_as_it_was_written(suffix: str, named: bool, tmp_path: Path) -> None:
    file = tmp_path / f"e{suffix}"
    write_embeddings(file, PATHS, ROWS, NAMES if named else None)
    assert holds_embeddings(file)
    for rows in (3, 7, 100):
        parts = list(read_embeddings(file, 4, rows))
        assert max(len(part.paths) for part in parts) == min(rows, 7)
        np.testing.assert_array_equal(np.concatenate([part.embeddings for part in parts]), ROWS)
        assert [path for part in parts for path in part.paths] == [path.as_posix() for path in PATHS]
        assert [name for part in parts for name in part.individuals] == (NAMES if named else [""] * 7)
    assert number_of_rows(file) == (8 if suffix == ".csv" else 7)  # a path has a line end


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet"])
def test_embeddings_of_another_length_or_that_are_not_finite_are_refused(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"e{suffix}"
    write_embeddings(file, PATHS, ROWS, NAMES)
    with pytest.raises(DataError, match="has embeddings of 4 numbers, and the model gives 8: they are another model"):
        list(read_embeddings(file, 8))
    broken = ROWS.copy()
    broken[4, 2] = np.nan
    write_embeddings(file, PATHS, broken, NAMES)
    with pytest.raises(DataError, match=r"the embedding of photos/é.jpg \(row 5\) is not finite"):
        list(read_embeddings(file, 4, 2))


def archive(file: Path, **arrays: Any) -> None:
    np.savez(file, **arrays)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"path": np.array(["a"] * 6), "embedding": ROWS}, "different lengths"),
        ({"path": np.arange(7), "embedding": ROWS}, "must be arrays of text"),
        ({"path": np.array(["a"] * 7), "embedding": ROWS.astype(np.int64)}, "must be an array of numbers"),
        ({"path": np.array(["a"] * 7), "embedding": np.asfortranarray(ROWS)}, "a form that is not known"),
        ({"path": np.array(["a"] * 7, object), "embedding": ROWS}, "a form that is not known"),
        ({"path": np.array(["a" * 5000] * 7), "embedding": ROWS}, "must be arrays of text"),
        ({"path": np.array(["a"] * 7)}, "embedding"),
    ],
    ids=["lengths", "numbers", "whole numbers", "columns", "pickle", "long", "none"],
)
def test_arrays_of_another_form_are_refused(arrays: dict[str, Any], says: str, tmp_path: Path) -> None:
    archive(tmp_path / "e.npz", **arrays)
    with pytest.raises(DataError, match=rf"is no file of embeddings as siamesekit embed writes it: .*{says}"):
        list(read_embeddings(tmp_path / "e.npz", 4))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "e.npz"
    np.savez(file, path=np.array(["a"] * 7), embedding=ROWS)
    with zipfile.ZipFile(file) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(file, "w") as cut:
        for name, content in members.items():
            cut.writestr(name, content[:-9])
    with pytest.raises(DataError, match="it is truncated"):
        list(read_embeddings(file, 4))
    np.savez_compressed(file, path=np.array(["a"] * 7), embedding=ROWS)
    content = bytearray(file.read_bytes())
    begin = content.index(b"embedding.npy") + 33  # after the member's header and its extra field
    content[begin : begin + 40] = b"\xff" * 40
    file.write_bytes(content)
    with pytest.raises(DataError, match="while decompressing"):
        list(read_embeddings(file, 4))
    table = tmp_path / "e.csv"
    table.write_text("path,e0,e1\na.jpg,1,2\nb.jpg,3\n")
    with pytest.raises(DataError, match="line 3 has 2 cells, and the header 3"):
        list(read_embeddings(table, 2))
    table.write_text("path,e0,e1\na.jpg,1,x\n")
    with pytest.raises(DataError, match="could not convert"):
        list(read_embeddings(table, 2))


def test_lists_of_different_lengths_are_refused(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    file = tmp_path / "e.parquet"
    parquet.write_table(pyarrow.table({"path": ["a", "b"], "embedding": [[1.0, 2.0, 3.0], [4.0]]}), file)
    with pytest.raises(DataError, match="different lengths"):
        list(read_embeddings(file, 2))
    parquet.write_table(pyarrow.table({"path": ["a", "b"], "embedding": [[1.0, 2.0], None]}), file)
    with pytest.raises(DataError, match="an embedding is missing"):
        list(read_embeddings(file, 2))


def test_damage_in_a_compressed_archive_is_told(tmp_path: Path) -> None:
    file = tmp_path / "e.npz"
    np.savez_compressed(file, path=np.array([str(path) for path in PATHS]), embedding=ROWS)
    whole = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        entry = archive.getinfo("embedding.npy")
    start = entry.header_offset + 30 + len(entry.filename)  # the archive's own header, of which 20 bytes may follow
    file.write_bytes(whole[: start + 20] + b"\xff" * 60 + whole[start + 80 :])
    with pytest.raises(DataError, match="no file of embeddings"):
        list(read_embeddings(file, 4))


@pytest.mark.medium
@pytest.mark.parametrize("group", [2_000, 40_000])
def test_a_parquet_is_not_kept_as_it_is_read(group: int, tmp_path: Path) -> None:
    """Nor is a group of rows, which may be the whole file."""
    import pyarrow
    from pyarrow import parquet

    file, rows = tmp_path / "e.parquet", np.random.default_rng(1).normal(size=(40_000, 128)).astype(np.float32)
    columns = {"path": [f"{number}.jpg" for number in range(len(rows))], "embedding": list(rows)}
    parquet.write_table(pyarrow.table(columns), file, row_group_size=group)
    del columns
    before, held = pyarrow.total_allocated_bytes(), []
    for part in read_embeddings(file, 128, 1_000):
        assert len(part.paths) <= 1_000
        held.append(pyarrow.total_allocated_bytes() - before)
    assert len(held) >= 40 and max(held) < rows.nbytes / 2, max(held)


def test_a_size_that_no_array_has_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "e.npz"
    for shape in ((1, 10**30), (10**30, 4)):
        with zipfile.ZipFile(file, "w") as archive:
            for name, kind, sides in (("path", "<U1", shape[:1]), ("embedding", "<f4", shape)):
                with archive.open(f"{name}.npy", "w") as member:
                    form = {"descr": kind, "fortran_order": False, "shape": sides}
                    np.lib.format.write_array_header_1_0(member, form)
        with pytest.raises(DataError, match="is no file of embeddings as siamesekit embed writes it"):
            list(read_embeddings(file, 4))


def test_columns_of_another_type(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    file, vectors = tmp_path / "e.parquet", [[1.0, 2.0]] * 3
    parquet.write_table(
        pyarrow.table({"path": ["a", "b", "c"], "individual": [0, 12, None], "embedding": vectors}), file
    )
    (rows,) = read_embeddings(file, 2)
    assert rows.individuals == ["0", "12", ""]
    parquet.write_table(pyarrow.table({"path": ["a", None, "c"], "embedding": vectors}), file)
    with pytest.raises(DataError, match="a path is missing"):
        list(read_embeddings(file, 2))
    parquet.write_table(pyarrow.table({"path": ["a"], "embedding": [1.0]}), file)
    with pytest.raises(DataError, match="must be a column of lists of numbers, not of double"):
        list(read_embeddings(file, 1))


def test_what_is_no_file_of_embeddings(tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text("photo,individual\na.jpg,Ann\n")
    (tmp_path / "photos.parquet").write_bytes(b"no parquet")
    for name in ("photos.csv", "photos.parquet", "missing.npz", "."):
        assert not holds_embeddings(tmp_path / name)
