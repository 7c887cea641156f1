"""Reader `excel`: a workbook gives the records that the same table as CSV gives."""

from __future__ import annotations

import csv
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from helpers import touched
from siamesekit.components.readers.csv import read_csv
from siamesekit.components.readers.excel import read_excel
from siamesekit.data.records import Box, Records
from siamesekit.errors import DataError, MissingDataError

openpyxl = pytest.importorskip("openpyxl")
ROWS: list[list[Any]] = [
    ["photo", "individual", "date", "age", "box", None],
    ["1.jpg", "0012", date(2021, 3, 4), 7, "0 0 5 5", None],
    [None, None, None, None, None, None],
    ["2.jpg", 12, datetime(2021, 3, 4, 10, 15), 7.5, None, None],
    ["3.jpg", None, None, None, "1,5 0 5 5", None],
]


def workbook(file: Path, **sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(file)
    return file


def test_a_sheet_is_read_as_the_same_table_in_csv(tmp_path: Path) -> None:
    touched(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["" if cell is None else cell for cell in row[:5]] for row in ROWS])
    found = read_excel(workbook(tmp_path / "t.xlsx", photos=ROWS), box="box")
    assert found == read_csv(tmp_path / "t.csv", box="box")
    assert [record.individual for record in found] == ["0012", "12", ""]
    assert [record.attributes["date"] for record in found] == ["2021-03-04", "2021-03-04 10:15:00", ""]
    assert found[2].box == Box(1.5, 0, 5, 5)


def test_the_first_of_several_sheets_is_read_and_told_or_the_one_that_is_named(tmp_path: Path) -> None:
    touched(tmp_path, "1.jpg", "2.jpg")
    other = [["photo", "individual"], ["2.jpg", "bob"]]
    file = workbook(tmp_path / "t.xlsx", first=[["photo", "individual"], ["1.jpg", "ann"]], second=other)
    found = read_excel(file)
    assert [record.individual for record in found] == ["ann"]
    assert isinstance(found, Records)
    assert found.notes == ("read from sheet 'first' of 2: for another one, set data.sheet",)
    assert [record.individual for record in read_excel(file, sheet="second")] == ["bob"]
    with pytest.raises(DataError, match=r"no sheet 'secon' \(did you mean 'second'\?\); its sheets: first, second"):
        read_excel(file, sheet="secon")


def test_rows_are_named_by_their_number_in_the_sheet(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 4: no such photo: 1\.jpg"):
        read_excel(workbook(tmp_path / "t.xlsx", photos=[[], ["photo", "individual"], [], ["1.jpg", "ann"]]))


def test_what_is_no_workbook_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.xlsx").write_text("photo,individual\n")
    with pytest.raises(DataError, match=r"t\.xlsx is no Excel workbook"):
        read_excel(tmp_path / "t.xlsx")
    with pytest.raises(DataError, match="is empty"):
        read_excel(workbook(tmp_path / "empty.xlsx", photos=[]))
    with pytest.raises(MissingDataError, match="put an Excel workbook there"):
        read_excel(tmp_path / "absent.xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(DataError, match=r"pip install 'siamesekit\[excel\]'; or save the table as CSV"):
        read_excel(tmp_path / "t.xlsx")
