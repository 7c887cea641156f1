"""Photos and individuals as wildlife-datasets, COCO and Wildbook have them, and back by the readers."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest
from PIL import Image

from conftest import draw_photo
from siamesekit.config.reader_choice import is_coco
from siamesekit.data.dates import moment_of
from siamesekit.data.records import Record
from siamesekit.errors import DataError, OutputError, UserError
from siamesekit.gallery.exchange.converting import Converted, convert, wanted
from siamesekit.gallery.exchange.sources import source_of
from siamesekit.registry import READERS

COLUMNS = ("photo", "individual", "box", "date", "site", "latitude", "longitude", "side", "encounter", "species",
           "sex", "note")  # fmt: skip
ROWS = (
    ("a.jpg", "=1+1", "1 2.5 30 20", "2024-01-16 14:32", "Zone; =5", "-34.5", "18.2", "left", "e1", "Panthera onca",
     "female", "x"),
    ("a.jpg", "0012", "31 2 20 30", "2024-01-16 14:32", "Zone; =5", "-34.5", "18.2", "right", "e1", "Panthera onca",
     "", "-3.5"),
    ("sub/b.png", "a;=2", "", "2024-01-17", "", "-34", "18", "", "e2", "Panthera onca", "", "@c"),
    ("sub/c.png", "a;=2", "", "2024-01-17 10:15", "", "-34", "18", "", "e2", "Panthera onca", "", ""),
    ("d e.png", "", "", "", "", "", "", "", "", "", "", ""),
)  # fmt: skip


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number, name in enumerate(dict.fromkeys(row[0] for row in ROWS)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_photo(1, number)).resize((60, 40)).save(folder / name)
    with (folder / "photos.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *ROWS])
    return folder


def read(reader: str, **options: object) -> list[Record]:
    return list(READERS.build(reader, options, seed=0))


def written(photos: Path, form: str, output: Path, facts: Sequence[str] = ()) -> Converted:
    return convert(source_of(photos / "photos.csv", None, ["data.box=box"]), wanted(form, output, facts, photos))


def before(photos: Path) -> list[Record]:
    return read("csv", file=str(photos / "photos.csv"), box="box")


def facts(record: Record) -> dict[str, str]:
    return {name: text for name, text in record.attributes.items() if text}


def test_a_frame_of_wildlife_datasets_comes_back_as_it_was(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "metadata.csv"
    told = written(photos, "wildlife", out)
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:7] == ["image_id", "identity", "path", "bbox", "date", "orientation", "species"]
    assert [row["image_id"] for row in rows] == list("12345")
    assert [json.loads(row["bbox"] or "null") for row in rows] == [[1, 2.5, 30, 20], [31, 2, 20, 30], None, None, None]
    assert [row["identity"] for row in rows] == ["'=1+1", "0012", "a;'=2", "a;'=2", "unknown"]
    assert (rows[0]["latitude"], rows[1]["note"], rows[2]["note"]) == ("-34.5", "-3.5", "'@c")
    assert any("3 texts begin like formulas" in note for note in told.notes)
    after = read("wildlife", file=str(out), root=str(photos))
    for old, new in zip(before(photos), after, strict=True):
        assert (new.name, new.individual, new.source, new.box) == (old.name, old.individual, old.source, old.box)
        assert facts(new) == {"image_id": new.attributes["image_id"], **facts(old)}
    again = tmp_path / "again.csv"
    source = source_of(out, "wildlife", [f"data.root={photos}"])
    convert(source, wanted("wildlife", again, base=photos))
    assert again.read_bytes() == out.read_bytes()


def test_annotations_of_coco_come_back_as_they_were(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "annotations.json"
    told = written(photos, "coco", out)
    found = json.loads(out.read_text(encoding="utf-8"))
    assert is_coco(out)
    assert [(each["file_name"], each["width"], each["height"]) for each in found["images"]] == [
        ("a.jpg", 60, 40), ("sub/b.png", 60, 40), ("sub/c.png", 60, 40), ("d e.png", 60, 40),
    ]  # fmt: skip
    images, kinds = ({each["id"] for each in found[key]} for key in ("images", "categories"))
    assert all(each["image_id"] in images and each["category_id"] in kinds for each in found["annotations"])
    assert [(each.get("bbox"), each.get("area")) for each in found["annotations"]][:3] == [
        ([1, 2.5, 30, 20], 600), ([31, 2, 20, 30], 600), (None, None),
    ]  # fmt: skip
    assert [each["name"] for each in found["categories"]] == ["Panthera onca", "animal"]
    assert found["annotations"][1]["attributes"]["individual"] == "0012"
    notes = "\n".join(told.notes)
    assert "3 photos have no box" in notes and "1 photos have no species: their category is 'animal'" in notes
    after = read("coco", file=str(out), root=str(photos))
    for old, new in zip(before(photos), after, strict=True):
        assert (new.name, new.individual, new.source, new.box) == (old.name, old.individual, old.source, old.box)
        assert facts(new) == {"species": "animal", **facts(old)}


@pytest.mark.parametrize("suffix", [".xlsx", ".csv"])
def test_a_sheet_of_wildbook_has_a_row_for_each_encounter(photos: Path, tmp_path: Path, suffix: str) -> None:
    """Both photos of one animal on one day are a row; the two animals on one photo stay two rows."""
    out = tmp_path / f"import{suffix}"
    told = written(photos, "wildbook", out)
    cells = sheet(out)
    assert len(cells) == 4
    pair = cells[2]
    assert (pair["Encounter.mediaAsset0"], pair["Encounter.mediaAsset1"]) == ("sub/b.png", "sub/c.png")
    expected = {
        "Encounter.genus": "Panthera", "Encounter.specificEpithet": "onca", "Encounter.year": "2024",
        "Encounter.month": "1", "Encounter.day": "16", "Encounter.hour": "14", "Encounter.minutes": "32",
        "Encounter.decimalLatitude": "-34.5", "Encounter.decimalLongitude": "18.2", "Encounter.sightingID": "e1",
        "Encounter.sex": "female", "Encounter.mediaAsset0": "a.jpg",
    }  # fmt: skip
    assert expected.items() <= cells[0].items()
    notes = "\n".join(told.notes)
    for text in (
        "1 photos have no date (at least Encounter.year), which Wildbook requires: d e.png",
        "1 photos have no place", "1 photos have no species of two words", "2 photos have boxes",
        "1 photos have the date and time of the first photo of their encounter: sub/c.png",
        "left out: note, side",
    ):  # fmt: skip
        assert text in notes
    assert ("begin like formulas" in notes) == (suffix == ".csv")
    after = {each.name: each for each in read("wildbook", file=str(out), root=str(photos))}
    assert set(after) == {"sub/b.png", "sub/c.png", "d e.png"}, "the sheet has no boxes for two animals on a photo"
    old = {each.name: each for each in before(photos)}
    for name, new in after.items():
        assert (new.individual, new.source) == (old[name].individual, old[name].source)
        kept = {key: text for key, text in facts(old[name]).items() if key not in ("date", "note", "side")}
        assert {key: text for key, text in facts(new).items() if key != "date"} == kept
    assert moment_of(after["sub/b.png"].attributes["date"]) == moment_of("2024-01-17")


def sheet(file: Path) -> list[dict[str, str]]:
    """The rows of a sheet as texts, of which none is a formula."""
    if file.suffix == ".csv":
        assert not any(cell.startswith(("=", "@")) for cell in file.read_text(encoding="utf-8").split(","))
        with file.open(newline="", encoding="utf-8") as opened:
            return list(csv.DictReader(opened))
    active = openpyxl.load_workbook(file).active
    assert active is not None
    rows = list(active.iter_rows())
    assert all(cell.data_type != "f" for row in rows for cell in row)
    assert rows[1][0].value == "=1+1" and rows[1][0].quotePrefix
    header = [str(cell.value) for cell in rows[0]]
    return [dict(zip(header, ["" if c.value is None else str(c.value) for c in row], strict=True)) for row in rows[1:]]


def test_boxes_in_shares_become_pixels_and_a_photo_that_is_gone_is_told(photos: Path, tmp_path: Path) -> None:
    (photos / "photos.csv").write_text("photo,individual,box\na.jpg,A,0.1 0.25 0.5 0.5\nd e.png,B,\n")
    options = ["data.box=box", "data.box_units=relative"]
    source = source_of(photos / "photos.csv", None, options)
    (photos / "d e.png").unlink()
    told = convert(source, wanted("wildlife", tmp_path / "w.csv"))
    with (tmp_path / "w.csv").open(newline="") as file:
        boxes = [row["bbox"] for row in csv.DictReader(file)]
    assert boxes == ["[6.0, 10.0, 30.0, 20.0]", ""]
    assert any("1 photos are not where they were" in note for note in told.notes)
    with pytest.raises(DataError, match=r"d e\.png cannot be opened .*, and the size of the photo is needed"):
        convert(source, wanted("coco", tmp_path / "c.json"))
    assert not (tmp_path / "c.json").exists()


def test_wrong_outputs_and_facts_are_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"wildbook is a file that ends in \.xlsx or \.csv"):
        wanted("wildbook", tmp_path / "sheet.ods")
    with pytest.raises(OutputError, match="exists, and nothing is replaced"):
        wanted("wildlife", photos / "photos.csv")
    with pytest.raises(UserError, match="is about a package of camtrap-dp, not of coco"):
        wanted("coco", tmp_path / "c.json", ["title=x"])
    with pytest.raises(DataError, match="is not below"):
        convert(
            source_of(photos / "photos.csv", None, ["data.box=box"]),
            wanted("wildlife", tmp_path / "w.csv", base=tmp_path / "photos/sub"),
        )


def test_a_name_that_readers_take_for_an_unknown_one_is_told(photos: Path, tmp_path: Path) -> None:
    (photos / "photos.csv").write_text("photo,individual\na.jpg,NA\nd e.png,B\n")
    source = source_of(photos / "photos.csv", None, ["data.unknown=[]"])
    told = convert(source, wanted("wildlife", tmp_path / "w.csv"))
    assert "1 photos have individuals whose names readers take for unknown ones: rename them: a.jpg" in told.notes


def test_a_workbook_without_its_library_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(OutputError, match="needs openpyxl: pip install"):
        wanted("wildbook", tmp_path / "import.xlsx")
    assert wanted("wildbook", tmp_path / "import.csv").form == "wildbook"
