"""Files of embeddings: the values come back, and what could not be written is refused before any work."""

import builtins
import csv
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from siamesekit.artifact.embedding_files import (
    check_output,
    photos_and_individuals,
    records_of_inputs,
    table_of_left_out,
    write_embeddings,
    write_left_out,
)
from siamesekit.components.readers.folder import read_folder
from siamesekit.data.spreadsheet_cells import spreadsheet_cell, text_of_cell
from siamesekit.errors import DataError, OutputError, UserError

PHOTOS = [Path("a b/ü,1.jpg"), Path('quoted".png')]
EMBEDDINGS = np.array([[0.1, -1e-38, 3.4e38], [1 / 3, 0.0, -7.0]], dtype=np.float32)


def read_npz(file: Path) -> tuple[list[str], NDArray[np.float32]]:
    with np.load(file, allow_pickle=False) as content:
        assert content["embedding"].dtype == np.float32
        return content["path"].tolist(), content["embedding"]


def read_csv(file: Path) -> tuple[list[str], NDArray[np.float32]]:
    with file.open(newline="", encoding="utf-8") as text:
        header, *rows = csv.reader(text)
    assert header == ["path", "e0", "e1", "e2"]
    return [text_of_cell(row[0]) for row in rows], np.array([row[1:] for row in rows], dtype=np.float32)


def read_parquet(file: Path) -> tuple[list[str], NDArray[np.float32]]:
    table = pytest.importorskip("pyarrow.parquet").read_table(file).to_pydict()
    return table["path"], np.array(table["embedding"], dtype=np.float32)


@pytest.mark.parametrize(("suffix", "read"), [("npz", read_npz), ("csv", read_csv), ("parquet", read_parquet)])
def test_paths_and_values_come_back_exactly(tmp_path: Path, suffix: str, read) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    file = tmp_path / f"out.{suffix}"
    check_output(file)
    write_embeddings(file, PHOTOS, EMBEDDINGS)
    paths, embeddings = read(file)
    assert paths == ["a b/ü,1.jpg", 'quoted".png']
    np.testing.assert_array_equal(embeddings, EMBEDDINGS)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("out.txt", "unknown suffix; choose one of .npz, .csv, .parquet"),
        ("none/out.csv", "there is no folder"),
        ("dir.npz", "is a folder"),
    ],
)
def test_a_file_that_could_not_be_written_is_refused(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "dir.npz").mkdir()
    with pytest.raises(OutputError, match=says):
        check_output(tmp_path / name)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "pyarrow":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OutputError, match=r"pip install 'siamesekit\[parquet\]'"):
        check_output(tmp_path / "out.parquet")


def test_photos_are_the_files_named_and_those_below_folders_sorted(tmp_path: Path) -> None:
    for name in ("in/b.JPG", "in/a/z.png", "in/notes.txt", "odd.xyz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = photos_and_individuals([tmp_path / "odd.xyz", tmp_path / "in"])
    assert [file.relative_to(tmp_path).as_posix() for file, _ in found] == ["odd.xyz", "in/a/z.png", "in/b.JPG"]


def test_no_photos_and_no_such_input_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match="no photos found"):
        photos_and_individuals([tmp_path])
    with pytest.raises(UserError, match=r"no such file or folder: .*nowhere"):
        photos_and_individuals([tmp_path, tmp_path / "nowhere"])


HOSTILE = [
    "=HYPERLINK(A1).jpg", "+1.jpg", "-1+2.jpg", "@SUM(1).jpg", "\tx.jpg", "\rx.jpg", "\nx.jpg", "'quoted'.jpg",
    "''.jpg", "a\nb\r\nc.jpg", 'say "x",1.jpg', "a;=1+1.jpg", "🐋 é \u202e.jpg", "plain.jpg", "<b>&amp;.jpg", " =1.jpg",
]  # fmt: skip


@pytest.mark.parametrize(("suffix", "read"), [("npz", read_npz), ("csv", read_csv), ("parquet", read_parquet)])
def test_hostile_names_come_back_exactly(tmp_path: Path, suffix: str, read) -> None:
    values = np.random.default_rng(0).normal(size=(len(HOSTILE), 3)).astype(np.float32)
    file = tmp_path / f"out.{suffix}"
    write_embeddings(file, [Path(name) for name in HOSTILE], values)
    names, embeddings = read(file)
    assert names == HOSTILE
    np.testing.assert_array_equal(embeddings, values)


def test_no_cell_of_a_csv_is_a_formula_and_numbers_stay_numbers(tmp_path: Path) -> None:
    values = -np.ones((len(HOSTILE), 2), dtype=np.float32)
    write_embeddings(tmp_path / "out.csv", [Path(name) for name in HOSTILE], values)
    for delimiter in ",;\t":  # a spreadsheet takes the one of its country
        with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as text:
            rows = list(csv.reader(text, delimiter=delimiter))[1:]
        assert len(rows) == len(HOSTILE)
        for row in rows:
            assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
            if delimiter == ",":
                assert row[1:] == ["-1", "-1"], "a negative number is no formula"
            else:
                assert len(row) == 1


@pytest.mark.medium
@given(st.text())
def test_every_text_comes_back_from_its_cell_and_no_two_share_one(text: str) -> None:
    cell = spreadsheet_cell(text)
    assert text_of_cell(cell) == text
    for part in re.split("[;\t]", cell):  # as spreadsheets of many countries divide it
        assert not part.startswith(("=", "+", "-", "@", "\r", "\n"))


@pytest.mark.parametrize(("suffix", "read"), [("csv", read_csv), ("parquet", read_parquet)])
def test_a_name_that_is_not_utf_8_stands_as_escapes(tmp_path: Path, suffix: str, read) -> None:
    write_embeddings(tmp_path / f"out.{suffix}", [Path(os.fsdecode(b"caf\xe9.jpg"))], np.ones((1, 3), np.float32))
    assert read(tmp_path / f"out.{suffix}")[0] == [r"caf\udce9.jpg"]


def test_an_npz_holds_no_pickle(tmp_path: Path) -> None:
    names = [os.fsdecode(b"caf\xe9.jpg"), "🐋.jpg"]
    write_embeddings(tmp_path / "out.npz", [Path(name) for name in names], np.ones((2, 3), np.float32))
    with np.load(tmp_path / "out.npz", allow_pickle=False) as content:
        assert {name: content[name].dtype.kind for name in content.files} == {"path": "U", "embedding": "f"}
        assert content["path"].tolist() == names


def test_individuals_are_those_of_the_reader_folder(tmp_path: Path) -> None:
    for name in ("in/a/1.png", "in/a/deep/er/2.png", "in/=b/3.JPG", "in/loose.png", "odd.xyz", "in/a/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = dict(photos_and_individuals([tmp_path / "odd.xyz", tmp_path / "in"]))
    expected = {record.source: record.individual for record in read_folder(tmp_path / "in")}
    assert {photo: name for photo, name in found.items() if name} == expected
    assert [photo.name for photo, name in found.items() if not name] == ["odd.xyz", "loose.png"]


def test_a_pattern_names_the_individuals_as_that_of_the_reader_folder(tmp_path: Path) -> None:
    for name in ("in/seal1_L_1.png", "in/seal2_R_1.png", "in/loose.png", "seal3_R.png", "in/unknown_L.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = records_of_inputs([tmp_path / "in", tmp_path / "seal3_R.png"], pattern="{individual}_*")
    names = {Path(record.name).name: record.individual for record in found}
    assert (names["seal1_L_1.png"], names["unknown_L.png"], names["seal3_R.png"]) == ("seal1_L", "", "seal3")
    expected = {record.source: record.individual for record in read_folder(tmp_path / "in", pattern="{individual}_*")}
    named = {file: name for file, name in expected.items() if name}
    assert {each.source: each.individual for each in found[:-1] if each.individual} == named
    assert found.notes == ("1 of 5 photos does not match the pattern and has no individual, such as loose.png",)
    with pytest.raises(UserError, match=r"pattern '\{individual\}-\*' matches none of 4 photos, .*: correct --pattern"):
        records_of_inputs([tmp_path / "in"], pattern="{individual}-*")
    with pytest.raises(UserError, match=r"names no individual: write \{individual\}"):
        records_of_inputs([tmp_path / "in"], pattern="{site}/")


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet"])
def test_names_of_individuals_come_back_exactly_and_no_cell_is_a_formula(tmp_path: Path, suffix: str) -> None:
    file, photos = tmp_path / f"out.{suffix}", [Path(f"{number}.jpg") for number in range(len(HOSTILE) + 1)]
    names = [*HOSTILE, ""]
    values = np.random.default_rng(0).normal(size=(len(names), 2)).astype(np.float32)
    write_embeddings(file, photos, values, names)
    if suffix == "npz":
        with np.load(file, allow_pickle=False) as content:
            found, paths = content["individual"].tolist(), content["path"].tolist()
    elif suffix == "csv":
        with file.open(newline="", encoding="utf-8") as text:
            header, *rows = csv.reader(text)
        assert header == ["path", "individual", "e0", "e1"]
        assert not any(row[1].startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for row in rows)
        found, paths = [text_of_cell(row[1]) for row in rows], [row[0] for row in rows]
        np.testing.assert_array_equal(np.array([row[2:] for row in rows], np.float32), values)
    else:
        table = pytest.importorskip("pyarrow.parquet").read_table(file).to_pydict()
        found, paths = table["individual"], table["path"]
    assert (found, paths) == (names, [photo.name for photo in photos])


def test_what_was_left_out_is_a_table_beside_the_embeddings(tmp_path: Path) -> None:
    table = table_of_left_out(tmp_path / "e.npz")
    assert table == tmp_path / "e.npz.left-out.csv"
    write_left_out(table, [])
    assert not table.exists(), "there is nothing to tell"
    write_left_out(table, [("=a,\n1.jpg", 'is "empty"', "copy it again")])
    with table.open(newline="", encoding="utf-8") as text:
        assert list(csv.reader(text)) == [
            ["file", "reason", "what to do"],
            ["'=a,\n1.jpg", 'is "empty"', "copy it again"],
        ]
    assert table_of_left_out(tmp_path / "e.npz") == table
    write_left_out(table, [])
    assert table.read_text() == "file,reason,what to do\n", "what an earlier time left out is no longer true"


@pytest.mark.parametrize("there", ["mine", "", "folder"])
def test_no_other_file_is_replaced_by_that_table(tmp_path: Path, there: str) -> None:
    place = tmp_path / "e.csv.left-out.csv"
    if there == "folder":
        place.mkdir()
    else:
        place.write_text(there)
    with pytest.raises(OutputError, match="not a table of photos that were left out"):
        table_of_left_out(tmp_path / "e.csv")
    assert place.is_dir() if there == "folder" else place.read_text() == there
