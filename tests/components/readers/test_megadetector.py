"""Reader `megadetector`: a table joined with the detector's boxes."""

import json
from pathlib import Path
from typing import Any

import pytest

from helpers import touched
from siamesekit.data.records import Box, Record
from siamesekit.errors import DataError
from siamesekit.registry import READERS


def detection(category: str, conf: float, *box: float) -> dict[str, Any]:
    return {"category": category, "conf": conf, "bbox": list(box)}


IMAGES: list[dict[str, Any]] = [
    {"file": "cam1/1.jpg", "max_detection_conf": 0.93,
     "detections": [detection("2", 0.99, 0, 0, 1, 1), detection("1", 0.4, 0.5, 0.5, 0.25, 0.25),
                    detection("1", 0.93, 0.1, 0.2, 0.3, 0.4)]},
    {"file": "cam1/2.jpg", "detections": [detection("1", 0.19, 0.1, 0.2, 0.3, 0.4)]},
    {"file": "cam1\\3.jpg", "detections": []},
    {"file": "4.jpg", "failure": "image access", "detections": None},
    {"file": "others.jpg", "detections": [detection("1", 0.9, 0, 0, 1, 1)]},
]  # fmt: skip
TABLE = "photo,individual,side\ncam1/1.jpg,0012,left\n./cam1/2.jpg,unknown,\ncam1/3.jpg,12,right\n4.jpg,12\n"


def made(root: Path, images: list[dict[str, Any]] = IMAGES, table: str = TABLE, **other: Any) -> dict[str, Any]:
    touched(root, "cam1/1.jpg", "cam1/2.jpg", "cam1/3.jpg", "4.jpg")
    (root / "table.csv").write_text(table)
    categories = {"1": "animal", "2": "person", "3": "vehicle"}
    (root / "md.json").write_text(
        json.dumps({"info": {}, "detection_categories": categories, "images": images} | other)
    )
    return {"file": str(root / "table.csv"), "detections": str(root / "md.json")}


def read(options: dict[str, Any]) -> list[Record]:
    return READERS.build("megadetector", options, seed=0)


def told(options: dict[str, Any]) -> list[str]:
    with pytest.raises(DataError) as caught:
        read(options)
    return str(caught.value).splitlines()


def test_the_surest_animal_is_the_box_and_photos_without_one_are_whole(tmp_path: Path) -> None:
    """Persons, low confidence, no detection, and a photo that the detector could not open."""
    records = read(made(tmp_path))
    assert [(record.name, record.individual, record.box) for record in records] == [
        ("cam1/1.jpg", "0012", Box(0.1, 0.2, 0.3, 0.4, relative=True)), ("cam1/2.jpg", "", None),
        ("cam1/3.jpg", "12", None), ("4.jpg", "12", None),
    ]  # fmt: skip
    assert dict(records[0].attributes) == {"side": "left", "detection_confidence": "0.93"}
    assert records[1].attributes["detection_confidence"] == ""
    lower = read(made(tmp_path) | {"confidence": 0.1, "margin": 0.5})
    assert lower[1].box is not None and (lower[1].box.width, lower[1].box.height) == pytest.approx((0.6, 0.8))
    person = read(made(tmp_path) | {"category": "person"})
    assert [record.box for record in person] == [Box(0, 0, 1, 1, relative=True), None, None, None]


def test_photos_without_a_box_or_with_several_may_be_refused(tmp_path: Path) -> None:
    assert told(made(tmp_path) | {"without_animal": "refuse"}) == [
        f"3 problems in {tmp_path / 'table.csv'}",
        "  line 3: ./cam1/2.jpg has no box: lower data.confidence, or crop the photo by hand",
        "  line 4: cam1/3.jpg has no box: lower data.confidence, or crop the photo by hand",
        "  line 5: 4.jpg has no box: lower data.confidence, or crop the photo by hand",
    ]
    assert told(made(tmp_path) | {"several_animals": "refuse"})[1:] == [
        "  line 2: cam1/1.jpg has 2 boxes: raise data.confidence, or name the box of the individual in a table for the "
        "reader csv"
    ]
    assert len(read(made(tmp_path) | {"several_animals": "refuse", "confidence": 0.5})) == 4


def test_a_photo_that_the_detector_never_saw_is_told(tmp_path: Path) -> None:
    assert told(made(tmp_path, IMAGES[1:]))[1:] == [
        "  line 2: md.json has no photo cam1/1.jpg: run MegaDetector on it, or set data.detections_root to the folder "
        "that its paths begin at"
    ]
    inside = [image | {"file": image["file"].removeprefix("cam1/").removeprefix("cam1\\")} for image in IMAGES[:3]]
    options = made(tmp_path, inside, TABLE.replace("4.jpg,12\n", ""))
    assert read(options | {"detections_root": str(tmp_path / "cam1")})[0].box is not None
    absolute = [image | {"file": f"{tmp_path}/{image['file']}"} for image in IMAGES]
    assert read(made(tmp_path, absolute))[0].box is not None


def test_what_is_wrong_with_the_table_is_told_as_by_csv(tmp_path: Path) -> None:
    options = made(tmp_path, table=TABLE + "cam1/1.jpg,7,left\n")
    assert told(options)[1:] == ["  line 6: photo cam1/1.jpg with this box is already on line 2"]
    assert "no column 'photo' (option 'photo')" in told(made(tmp_path, table="file,individual\n1.jpg,a\n"))[0]


@pytest.mark.parametrize(
    ("images", "other", "message"),
    [
        ([], {"detection_categories": None}, "it has no table 'detection_categories'"),
        ([], {"detection_categories": {"1": "animals"}}, "no category 'animal' (did you mean 'animals'?); it has"),
        ({}, {}, "is not results of MegaDetector: it has no list 'images' of tables"),
        ([{"detections": []}], {}, "image 1 (None): no file, or a detection without category, conf and bbox"),
        ([{"file": "1.jpg", "detections": [{"category": "1", "conf": 0.5}]}], {}, "image 1 (1.jpg): no file, or"),
        ([{"file": "1.jpg", "detections": [detection("1", 0.5, 1, 2, 3)]}], {}, "image 1 (1.jpg): no file, or"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_the_detectors(tmp_path: Path, images: Any, other: dict[str, Any], message: str) -> None:
    assert message in "\n".join(told(made(tmp_path, images, **other)))
