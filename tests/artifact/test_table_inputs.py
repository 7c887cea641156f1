"""Whether a table names individuals is told by the cells that its reader reads, not by others of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from siamesekit.artifact.table_inputs import records_of_table
from siamesekit.gallery.season import season

openpyxl = pytest.importorskip("openpyxl")


def told(table: Path, *overrides: str) -> list[tuple[str, str]]:
    """The photos of a table with their individuals; a season has the same, but for names that it does not use."""
    found = records_of_table(table, overrides)
    assert season(table, overrides=overrides) == found
    return [(record.name, record.individual) for record in found]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two files of photos."""
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"not looked at")
    return tmp_path


def workbook(file: Path, *sheets: list[list[str]]) -> Path:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for number, rows in enumerate(sheets, 1):
        sheet = made.create_sheet(f"s{number}")
        for row in rows:
            sheet.append(row)
    made.save(file)
    return file


def test_the_sheet_that_is_named(folder: Path) -> None:
    named, unnamed = [["photo", "individual"], ["a.jpg", "Ann"]], [["photo"], ["b.jpg"]]
    assert told(workbook(folder / "t.xlsx", unnamed, named), "data.sheet=s2") == [("a.jpg", "Ann")]
    assert told(workbook(folder / "t.xlsx", named, unnamed), "data.sheet=s2") == [("b.jpg", "")]


def test_the_delimiter_that_is_named(folder: Path) -> None:
    (folder / "t.csv").write_text("photo;individual;x,y,z,w\na.jpg;Ann;1,2,3,4\n")
    assert told(folder / "t.csv", "data.delimiter=;") == [("a.jpg", "Ann")]


@pytest.mark.parametrize("override", ["data.individual=name", " data.individual = name"])
def test_the_column_that_is_named(folder: Path, override: str) -> None:
    (folder / "t.csv").write_text("photo,name\na.jpg,Ann\nb.jpg,\n")
    assert told(folder / "t.csv", override) == [("a.jpg", "Ann"), ("b.jpg", "")]
    assert told(folder / "t.csv") == [("a.jpg", ""), ("b.jpg", "")]
