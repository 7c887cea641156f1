"""Tables in shards: one table in the order of the names, and errors that name shard and row."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers import touched
from siamesekit.components.readers.csv import read_csv
from siamesekit.components.readers.parquet import read_parquet
from siamesekit.data.table_shards import shards_of
from siamesekit.data.unusable import UnusablePhotosError
from siamesekit.errors import DataError, MissingDataError


def written(file: Path, content: str) -> Path:
    """A file with this text."""
    file.write_text(content)
    return file


def shards(folder: Path, rows: list[tuple[str, str]], count: int) -> Path:
    """The rows in CSV shards `part-0.csv` …, and their photos in the folder above."""
    folder.mkdir(parents=True, exist_ok=True)
    touched(folder.parent, *[photo for photo, _ in rows])
    for number in range(count):
        own = rows[number::count]
        lines = ["photo,individual", *(f"{photo},{name}" for photo, name in own)]
        (folder / f"part-{number}.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("count", [1, 3, 12])
def test_shards_are_one_table_in_natural_order_of_their_names(tmp_path: Path, count: int) -> None:
    rows = [(f"{number}.jpg", f"seal {number % 4}") for number in range(20)]
    folder = shards(tmp_path / "shards", rows, count)
    whole = written(
        tmp_path / "whole.csv",
        "photo,individual\n"
        + "".join(f"{photo},{name}\n" for number in range(count) for photo, name in rows[number::count]),
    )
    for place in (folder, folder / "part-*.csv"):
        found = read_csv(place, root=tmp_path)
        assert list(found) == list(read_csv(whole, root=tmp_path))
        assert f"{count} shards, part-0.csv to part-{count - 1}.csv" in found.notes[0]


def test_parquet_shards_by_folder_and_by_pattern(tmp_path: Path) -> None:
    touched(tmp_path, *[f"{number}.jpg" for number in range(6)])
    tables = tmp_path / "tables"
    tables.mkdir()
    for number in range(3):
        photos = [f"{2 * number}.jpg", f"{2 * number + 1}.jpg"]
        pq.write_table(pa.table({"photo": photos, "individual": [1, 2]}), tables / f"part-{number}.parquet")
    written(tables / "_SUCCESS", "")
    written(tables / ".part-0.parquet.crc", "x")
    for place in (tables, tables / "part-*.parquet"):
        found = read_parquet(place, root=tmp_path)
        assert [(each.name, each.individual) for each in found] == [(f"{n}.jpg", f"{1 + n % 2}") for n in range(6)]
    assert [each.name for each in read_parquet(tables / "part-[02].parquet", root=tmp_path)] == [
        "0.jpg", "1.jpg", "4.jpg", "5.jpg",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("header", "difference"),
    [
        ("photo,seal", "lacks individual; it also has seal"),
        ("photo,individual,sex", "also has sex"),
        ("individual,photo", "another order"),
    ],
)
def test_a_shard_with_other_columns_is_named(tmp_path: Path, header: str, difference: str) -> None:
    folder = shards(tmp_path / "shards", [("1.jpg", "a"), ("2.jpg", "b")], 2)
    written(folder / "part-1.csv", f"{header}\nx,y\n")
    with pytest.raises(DataError, match=rf"part-1\.csv has other columns than part-0\.csv: .*{difference}"):
        read_csv(folder, root=tmp_path)


def test_errors_name_the_shard_and_the_row_in_it(tmp_path: Path) -> None:
    folder = shards(tmp_path / "shards", [(f"{number}.jpg", "a") for number in range(6)], 3)
    written(folder / "part-1.csv", "photo,individual\n1.jpg,a\n\n0.jpg,b\ngone.jpg,c\n")
    with pytest.raises(DataError) as caught:
        read_csv(folder, root=tmp_path)
    assert caught.value.details[0] == "part-1.csv, line 4: photo 0.jpg is already on part-0.csv, line 2"
    assert caught.value.details[1].startswith("part-1.csv, line 5: no such photo: gone.jpg")
    written(folder / "part-1.csv", "photo,individual\ngone.jpg,c\n")
    with pytest.raises(UnusablePhotosError) as missing:
        read_csv(folder, root=tmp_path)
    assert [finding.name for finding in missing.value.findings] == ["part-1.csv, line 2"]
    written(folder / "part-2.csv", 'photo,individual\n"2.jpg,c\n')
    with pytest.raises(DataError, match=r"part-2\.csv, line"):
        read_csv(folder, root=tmp_path)


def test_empty_shards_do_not_shift_the_rows_of_others(tmp_path: Path) -> None:
    draw = random.Random(3)
    folder = tmp_path / "shards"
    folder.mkdir()
    sizes = [draw.choice([0, 0, 1, 2, 5]) for _ in range(15)]
    expected = []
    for number, size in enumerate(sizes):
        lines = [f"lost-{number}-{row}.jpg,a" for row in range(size)]
        (folder / f"{number}.csv").write_text("\n".join(["photo,individual", *lines, ""]))
        expected += [
            (f"{number}.csv, line {row + 2}", f"no such photo: lost-{number}-{row}.jpg") for row in range(size)
        ]
    written(folder / "15.csv", "photo,individual\nthere.jpg,a\n")
    touched(folder, "there.jpg")
    with pytest.raises(UnusablePhotosError) as caught:
        read_csv(folder)
    assert [(finding.name, finding.reason) for finding in caught.value.findings] == expected


def test_what_is_no_table_in_shards(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"a folder without shards of a table \(\.csv, \.tsv\)"):
        read_csv(tmp_path / "empty")
    with pytest.raises(DataError, match="no file fits"):
        read_csv(tmp_path / "no-*.csv")
    with pytest.raises(MissingDataError):
        read_csv(tmp_path / "no.csv")
    outside = written(tmp_path / "secret.csv", "photo,individual\n")
    (tmp_path / "empty" / "part-0.csv").symlink_to(outside)
    with pytest.raises(DataError, match=r"part-0\.csv is a link that leads out"):
        read_csv(tmp_path / "empty")


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    file = written(tmp_path / "seals[1].csv", "photo,individual\n1.jpg,a\n")
    written(tmp_path / "seals1.csv", "photo,individual\n2.jpg,a\n")
    touched(tmp_path, "1.jpg", "2.jpg")
    assert [each.name for each in read_csv(file)] == ["1.jpg"]


def test_shards_in_folders_by_value_are_told(tmp_path: Path) -> None:
    folder = shards(tmp_path / "shards", [("1.jpg", "a")], 1)
    (folder / "year=2021").mkdir()
    assert "not read: year=2021" in read_csv(folder, root=tmp_path).notes[1]


def test_natural_order(tmp_path: Path) -> None:
    for name in ("b-10.csv", "b-9.csv", "a.csv"):
        written(tmp_path / name, "")
    assert [file.name for file in shards_of(tmp_path, (".csv",))] == ["a.csv", "b-9.csv", "b-10.csv"]
