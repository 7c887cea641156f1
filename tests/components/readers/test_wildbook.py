"""Reader `wildbook`: one record per photo of an encounter, against sheets written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import pytest

from helpers import touched
from siamesekit.config.project.table_layout import table_layout
from siamesekit.data.records import Record
from siamesekit.errors import DataError
from siamesekit.registry import READERS

HEADER = (
    "Encounter.mediaAsset0", "Encounter.MediaAsset1", "MarkedIndividual.individualID", "Encounter.genus",
    "Encounter.specificEpithet", "Encounter.year", "Encounter.month", "Encounter.day", "Encounter.hour",
    "Encounter.minutes", "Encounter.locationID", "Encounter.decimalLatitude", "Encounter.sightingID", "Encounter.sex",
)  # fmt: skip
ROWS: tuple[tuple[Any, ...], ...] = (
    ("a.jpg", "sub/b.jpg", "0012", "Panthera", "onca", 2020, 8, 4, 7, 5, "Zone 5", -35.46, "", "male"),
    ("c.jpg", "", "12", "Panthera", "onca", 2021, 1, 2, "", "", "Zone 5", "", "S_1", ""),
    ("d.jpg", "", "", "Panthera", "", 2021, 3, "", "", "", "", "", "", ""),
    ("", "", "13", "Panthera", "onca", 2021, "", "", "", "", "", "", "", ""),
    ("e.jpg", "", "14", "Panthera", "onca", 2021, 1, 2, "", "", "", "", "", ""),
    ("e.jpg", "", "15", "Panthera", "onca", 2021, 1, 2, "", "", "", "", "", ""),
)


def sheet(folder: Path, suffix: str, rows: tuple[tuple[Any, ...], ...] = ROWS) -> Path:
    touched(folder, "a.jpg", "sub/b.jpg", "c.jpg", "d.jpg", "e.jpg")
    file = folder / f"import{suffix}"
    if suffix == ".csv":
        file.write_text("\n".join(",".join(map(str, row)) for row in (HEADER, *rows)))
        return file
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (HEADER, *rows):
        book.active.append(list(row))
    book.save(file)
    return file


def read(file: Path, **options: object) -> list[Record]:
    records: list[Record] = READERS.build("wildbook", {"file": str(file), **options}, seed=0)
    return records


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_each_photo_of_an_encounter_is_a_record(tmp_path: Path, suffix: str) -> None:
    records = read(sheet(tmp_path, suffix))
    assert [(each.name, each.individual) for each in records] == [
        ("a.jpg", "0012"), ("sub/b.jpg", "0012"), ("c.jpg", "12"), ("d.jpg", ""),
    ]  # fmt: skip
    first, second, third, fourth = ({n: t for n, t in each.attributes.items() if t} for each in records)
    assert first == second == {
        "date": "2020-08-04 07:05", "species": "Panthera onca", "encounter": "row-2", "site": "Zone 5",
        "latitude": "-35.46", "Encounter.sex": "male",
    }  # fmt: skip
    assert third == {"date": "2021-01-02", "species": "Panthera onca", "encounter": "S_1", "site": "Zone 5"}
    assert fourth == {"species": "Panthera", "Encounter.year": "2021", "Encounter.month": "3"}
    notes = "\n".join(records.notes)  # type: ignore[attr-defined]
    assert "1 photos of several individuals are left out, because the sheet has no boxes: e.jpg" in notes
    assert "1 encounters without photos are left out" in notes


def test_what_is_no_sheet_or_contradicts_itself_is_refused(tmp_path: Path) -> None:
    file = sheet(tmp_path, ".csv")
    text = file.read_text()
    file.write_text(text.replace("Encounter.sex", "Encounter.individualID"))
    with pytest.raises(DataError, match="line 2: two individuals, 0012 and male: keep one"):
        read(file)
    file.write_text(text.replace("Encounter.mediaAsset0", "photo").replace("Encounter.MediaAsset1", "other"))
    with pytest.raises(DataError, match=r"no column Encounter\.mediaAsset0"):
        read(file)
    file.write_text(text.replace("2020,8,4", "2020,13,4"))
    with pytest.raises(DataError, match="date '2020-13-04 07:05' is none of the accepted forms"):
        read(file)


def test_milliseconds_are_a_date_and_other_names_of_columns_are_understood(tmp_path: Path) -> None:
    touched(tmp_path, "a.jpg")
    file = tmp_path / "s.csv"
    file.write_text(
        "Encounter.MediaAsset.0,Encounter.individualID,Encounter.dateInMilliseconds,Encounter.occurrenceID\n"
        "a.jpg,'=A,1516685992499,o 1\n"
    )
    (record,) = read(file)
    assert (record.individual, dict(record.attributes)) == (
        "=A", {"date": "2018-01-23T05:39:52Z", "encounter": "o 1"},
    )  # fmt: skip


def test_init_recognises_a_sheet_and_finds_its_photos(tmp_path: Path) -> None:
    file = sheet(tmp_path / "photos", ".csv")
    found = table_layout(file.rename(tmp_path / "import.csv"))
    assert (found.reader, found.options) == ("wildbook", {"root": tmp_path / "photos"})
    assert found.found == 1
