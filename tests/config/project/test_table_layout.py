"""Tables of photos as people have them: columns, boxes, split, and the folder of the photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from PIL import Image

from siamesekit.config.project.config_text import choose
from siamesekit.config.project.survey import survey
from siamesekit.errors import DataError

PHOTOS = [(f"{who}_{number}.png", f"w{who}") for who in range(8) for number in range(4)]


def drawn(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, _ in PHOTOS:
        Image.new("RGB", (60, 50), (int(name[0]) * 30, int(name[2]) * 60, 0)).save(folder / name)
    return folder


def table(file: Path, header: str, row: str) -> Path:
    """A table with a row for each photo, in which `{photo}`, `{who}` and `{number}` are filled in."""
    rows = [row.format(photo=photo, who=who, number=photo[2]) for photo, who in PHOTOS]
    file.write_text("\n".join([header, *rows]))
    return file


@pytest.mark.parametrize(
    ("name", "header", "row", "folder", "reader"),
    [
        ("train.csv", "Image,Id", "{photo},{who}", "train", "kaggle-whales"),
        ("train.csv", "image,species,individual_id", "{photo},orca,{who}", "train_images", "happywhale"),
        ("train.csv", "Image,whaleID", "{photo},{who}", "imgs", "noaa-right-whale"),
        ("train.csv", "Image,Id", "{photo},{who}", "all/pictures", "csv"),
        ("metadata.csv", "image_id,identity,path", "{photo},{who},shots/{photo}", "shots", "wildlife"),
        ("t.tsv", "Animal ID\tPhoto", "{who}\t{photo}", "shots", "csv"),
        ("t.csv", "Encounter.mediaAsset0;Encounter.individualID", "{photo};{who}", "shots", "wildbook"),
    ],
)
def test_a_folder_with_its_table_is_read_by_the_table(
    tmp_path: Path, name: str, header: str, row: str, folder: str, reader: str
) -> None:
    """Also if folders `train` and `test` beside it look like individuals."""
    drawn(tmp_path / folder)
    (tmp_path / "test").mkdir()
    Image.new("RGB", (60, 50)).save(tmp_path / "test" / "unnamed.png")
    (tmp_path / "sample_submission.csv").write_text("Image,Id\nunnamed.png,w0\n")
    table(tmp_path / name, header, row)
    found = survey(tmp_path)
    assert found.reader == reader
    assert found.counts == {f"w{who}": 4 for who in range(8)}
    assert all(str(tmp_path / folder) in str(record.source) for record in found.records)


def test_a_table_alone_finds_the_folder_of_its_photos(tmp_path: Path) -> None:
    drawn(tmp_path / "download" / "train")
    file = table(tmp_path / "download" / "train.csv", "Image,Id", "{photo},{who}")
    found = survey(file)
    assert found.options == {"photo": "Image", "individual": "Id", "root": tmp_path / "download" / "train"}
    (tmp_path / "labels").mkdir()
    beside = table(tmp_path / "labels" / "t.csv", "photo,individual", "download/train/{photo},{who}")
    assert survey(beside).options["root"] == tmp_path


@pytest.mark.parametrize(
    ("header", "row", "options"),
    [
        ("photo,individual,bbox", '{photo},{who},"[10.0, 5.0, 30.0, 30.0]"', {"box": "bbox"}),
        ("photo,individual,bbox", "{photo},{who},0.1 0.1 0.5 0.5", {"box": "bbox", "box_units": "relative"}),
        ("photo,individual,x,y,w,h", "{photo},{who},1,2,30,30", {"box": ["x", "y", "w", "h"]}),
        ("photo;individual;BBox", "{photo};{who};10,5 5 30 30", {"box": "BBox"}),
        ("photo,individual,bbox", "{photo},{who},seen", {}),
        ("photo,individual,subset", "{photo},{who},train", {"split": "subset"}),
    ],
)
def test_boxes_and_parts_of_a_split_are_recognised(
    tmp_path: Path, header: str, row: str, options: dict[str, Any]
) -> None:
    drawn(tmp_path)
    found = survey(table(tmp_path / "t.csv", header, row))
    assert found.options == options
    assert (found.records[0].box is not None) == ("box" in options)


def test_the_boxes_of_wildlife_datasets_are_used_also_two_on_one_photo(tmp_path: Path) -> None:
    drawn(tmp_path)
    file = table(tmp_path / "metadata.csv", "identity,path,bbox", '{who},{photo},"[10.0, 5.0, 30.0, 30.0]"')
    file.write_text(file.read_text() + '\nw1,0_0.png,"[1.0, 1.0, 9.0, 9.0]"')
    found = survey(file)
    assert (found.reader, found.counts["w1"]) == ("wildlife", 5)
    assert all(record.box is not None for record in found.records)
    assert any("--set 'data.crop=whole'" in line for line in found.others)


def test_a_split_that_photos_tell_is_taken(tmp_path: Path) -> None:
    drawn(tmp_path)
    found = survey(table(tmp_path / "t.csv", "photo,individual,split", "{photo},{who},part{number}"))
    assert choose(found).by == "identity"
    file = table(tmp_path / "t.csv", "photo,individual,split", "{photo},{who},part{number}")
    text = file.read_text()
    for number, part in enumerate(("train", "train", "val", "test")):
        text = text.replace(f"part{number}", part)
    file.write_text(text)
    choices = choose(survey(file))
    assert (choices.by, choices.unmatched) == ("column", "refuse")
    assert [len(part) for part in (choices.split.train, choices.split.validation, choices.split.test)] == [16, 8, 8]


def test_a_workbook_and_jsons(tmp_path: Path) -> None:
    drawn(tmp_path / "shots")
    book = openpyxl.Workbook()
    for row in [("Image", "Animal ID"), *PHOTOS]:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    assert survey(tmp_path / "t.xlsx").counts == {f"w{who}": 4 for who in range(8)}
    images = [{"id": number, "file_name": photo} for number, (photo, _) in enumerate(PHOTOS)]
    boxes = [{"image_id": number, "bbox": [1, 1, 20, 20], "name": who} for number, (_, who) in enumerate(PHOTOS)]
    (tmp_path / "coco.json").write_text(json.dumps({"images": images, "annotations": boxes}))
    found = survey(tmp_path / "coco.json")
    assert (found.reader, found.options) == ("coco", {"root": tmp_path / "shots"})
    assert len(found.counts) == 8
    animal = {"category": "1", "conf": 0.9, "bbox": [0.1, 0.1, 0.5, 0.5]}
    seen = [{"file": f"shots/{photo}", "detections": [animal]} for photo, _ in PHOTOS]
    (tmp_path / "md.json").write_text(json.dumps({"images": seen, "detection_categories": {"1": "animal"}}))
    with pytest.raises(DataError, match=r"name no individuals.*there is no such table"):
        survey(tmp_path / "md.json")
    table(tmp_path / "photos.csv", "photo,individual", "shots/{photo},{who}")
    found = survey(tmp_path / "md.json")
    assert (found.reader, found.option, found.place) == ("megadetector", "file", tmp_path / "photos.csv")
    assert all(record.box is not None for record in found.records)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DataError, match="expected annotations in COCO's format, or results of MegaDetector"):
        survey(tmp_path / "other.json")


def test_unknown_individuals_are_counted_apart(tmp_path: Path) -> None:
    drawn(tmp_path)
    file = table(tmp_path / "t.csv", "photo,individual", "{photo},{who}")
    file.write_text(file.read_text().replace(",w0", ",NaN").replace(",w1", ","))
    found = survey(file)
    assert (len(found.counts), found.unknown) == (6, 8)
    assert "'NaN' on 4 photos" in found.notes[0]
    assert len(choose(found).kept) == 24


def test_a_table_without_a_header_is_refused(tmp_path: Path) -> None:
    drawn(tmp_path)
    file = table(tmp_path / "t.csv", "0_0.png,w0", "{photo},{who}")
    with pytest.raises(DataError, match="has no header, because its first line names a photo: add a line"):
        survey(file)


def test_options_that_are_given_win(tmp_path: Path) -> None:
    drawn(tmp_path / "shots")
    table(tmp_path / "t.csv", "photo,individual", "{photo},{who}")
    assert survey(tmp_path, "folder").reader == "folder"
    assert survey(tmp_path, overrides=["data.pattern=**/{individual}_*"]).counts == {str(who): 4 for who in range(8)}
    left = survey(tmp_path / "t.csv", overrides=["data.leave_out=['w0']"])
    assert len(left.counts) == 7 and left.options["leave_out"] == ["w0"]
    assert "left out as data.leave_out says: 4 photos of w0" in left.notes
