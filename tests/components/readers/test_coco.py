"""Reader `coco`: annotations of several tools, and what is wrong with some."""

import json
from pathlib import Path
from typing import Any

import pytest

from helpers import touched
from siamesekit.data.records import Box, Record
from siamesekit.errors import DataError, MissingDataError
from siamesekit.registry import READERS

IMAGES = [
    {"id": 1, "file_name": "a/1.jpg", "width": 640, "height": 480, "license": 3, "date_captured": "2021-03-04 10:15:00",
     "location": "A"},
    {"id": 2, "file_name": "2.jpg", "width": 640, "height": 480, "date_captured": "NA", "seq_id": "s7"},
    {"id": 3, "file_name": "empty.jpg", "width": 640, "height": 480},
]  # fmt: skip
CATEGORIES = [{"id": 5, "name": "zebra", "supercategory": "animal"}, {"id": 9, "name": "giraffe"}]
ANNOTATIONS: list[dict[str, Any]] = [
    {"id": 11, "image_id": 1, "category_id": 5, "bbox": [10, 20.5, 30, 40], "area": 1200, "iscrowd": 0,
     "segmentation": [[1, 2, 3, 4]], "individual_id": "0012", "viewpoint": "left"},
    {"id": 12, "image_id": 1, "category_id": 5, "bbox": [50, 20, 30, 40], "individual_id": None},
    {"id": 13, "image_id": 2, "category_id": 9, "individual_id": 12, "theta": 0.5},
]  # fmt: skip


def made(root: Path, annotations: list[dict[str, Any]] = ANNOTATIONS, **other: Any) -> dict[str, Any]:
    touched(root, "a/1.jpg", "2.jpg", "empty.jpg")
    content = {"images": IMAGES, "annotations": annotations, "categories": CATEGORIES, **other}
    (root / "coco.json").write_text(json.dumps(content))
    return {"file": str(root / "coco.json")}


def read(options: dict[str, Any]) -> list[Record]:
    return READERS.build("coco", options, seed=0)


def test_each_annotation_is_a_record_with_its_box(tmp_path: Path) -> None:
    records = read(made(tmp_path))
    assert [(record.name, record.individual, record.box) for record in records] == [
        ("a/1.jpg", "0012", Box(10, 20.5, 30, 40)), ("a/1.jpg#2", "", Box(50, 20, 30, 40)), ("2.jpg", "12", None),
    ]  # fmt: skip
    facts = {key: value for key, value in records[0].attributes.items() if value}
    assert facts == {"date": "2021-03-04 10:15:00", "site": "A", "side": "left", "species": "zebra"}
    assert {key: value for key, value in records[2].attributes.items() if value} == {
        "species": "giraffe", "theta": "0.5", "seq_id": "s7",
    }  # fmt: skip
    assert read(made(tmp_path) | {"encounter": "seq_id"})[2].attributes["encounter"] == "s7"


def test_categories_may_be_chosen_and_boxes_left_aside(tmp_path: Path) -> None:
    chosen = read(made(tmp_path) | {"categories": ["giraffe"], "crop": "whole"})
    assert [(record.name, record.individual, record.box) for record in chosen] == [("2.jpg", "12", None)]
    with pytest.raises(DataError, match=r"categories: .* has no category 'zebras' \(did you mean 'zebra'\?\)"):
        read(made(tmp_path) | {"categories": ["zebras"]})
    with pytest.raises(DataError, match=r"photo a/1\.jpg is already on annotation 1"):
        read(made(tmp_path) | {"crop": "whole"})


@pytest.mark.parametrize(
    ("individuals", "expected"),
    [
        ([{"name": "ann"}, {"name": "____"}, {"name": "unknown"}], ["ann", "", ""]),
        ([{"individual_ids": ["ann"]}, {"individual_ids": []}, {}], ["ann", "", ""]),
        ([{"attributes": {"identity": "ann", "old": False}}, {}, {"attributes": {"identity": 7}}], ["ann", "", "7"]),
        ([{"tag": "ann"}, {"tag": ""}, {"tag": "bob"}], ["ann", "", "bob"]),
    ],
    ids=["name", "a list", "attributes", "another key"],
)  # fmt: skip
def test_the_individual_stands_where_tools_put_it(
    tmp_path: Path, individuals: list[dict[str, Any]], expected: list[str]
) -> None:
    bare = [{key: value for key, value in each.items() if key != "individual_id"} for each in ANNOTATIONS]
    options = made(tmp_path, [old | new for old, new in zip(bare, individuals, strict=True)])
    if "tag" in individuals[0]:
        with pytest.raises(DataError, match=r"no annotation names an individual .* for another key: "):
            read(options)
        options["individual"] = "tag"
    records = read(options)
    assert [record.individual for record in records] == expected
    assert not set(individuals[0]) & set(records[0].attributes)
    if "attributes" in individuals[0]:
        assert records[0].attributes["old"] == "False"


def test_annotations_that_refer_to_nothing_are_told(tmp_path: Path) -> None:
    wrong = [ANNOTATIONS[0] | {"image_id": 77}, ANNOTATIONS[1] | {"category_id": 6},
             ANNOTATIONS[2] | {"individual_id": ["a", "b"]}]  # fmt: skip
    with pytest.raises(DataError) as caught:
        read(made(tmp_path, wrong))
    assert str(caught.value).splitlines() == [
        f"3 problems in {tmp_path / 'coco.json'}",
        "  annotation 1: its image_id 77 is no photo of the file",
        "  annotation 2: its category_id 6 is no category of the file",
        "  annotation 3: has 2 individuals; expected one for each box",
    ]
    with pytest.raises(DataError, match="annotation 1: box '10 20 0 40' has no area"):
        read(made(tmp_path, [ANNOTATIONS[0] | {"bbox": [10, 20, 0, 40]}]))
    with pytest.raises(DataError, match=r"annotations have identity, individual_id: name the one of them"):
        read(made(tmp_path, [ANNOTATIONS[0] | {"identity": "x"}]))
    options = made(tmp_path)
    (tmp_path / "2.jpg").unlink()
    with pytest.raises(DataError, match=r"annotation 3: no such photo: 2\.jpg"):
        read(options)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "is not annotations in COCO's format: it holds no table"),
        ("{", "is damaged"),
        ('{"images": []}', "it has no list 'annotations' of tables"),
        ('{"images": [3], "annotations": []}', "it has no list 'images' of tables"),
        ('{"images": [], "annotations": [], "categories": {}}', "it has no list 'categories' of tables"),
        ('{"images": [{"id": [1]}], "annotations": []}', r"number 1 of 'images': its id \[1\] is no number or text"),
        ('{"images": [], "annotations": []}', "no annotation names an individual"),
    ],
)
def test_a_file_that_is_not_in_the_format(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "coco.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read({"file": str(tmp_path / "coco.json")})
    with pytest.raises(MissingDataError, match=r"there is no file .*: put annotations in COCO's format there"):
        read({"file": str(tmp_path / "absent.json")})
