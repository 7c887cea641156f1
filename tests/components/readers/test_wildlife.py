"""Reader `wildlife`: metadata as wildlife-datasets writes it, and that of WildlifeReID-10k."""

from pathlib import Path

import pytest

from helpers import touched
from siamesekit.data.records import Box
from siamesekit.errors import DataError
from siamesekit.registry import READERS


def test_a_data_frame_with_its_index_boxes_and_unknown_individuals(tmp_path: Path) -> None:
    """Two animals on one photo, one without a box, numeric-looking names, a date that pandas did not know."""
    touched(tmp_path, "images/a/1.jpg", "images/b 2.jpg")
    text = (
        ",image_id,identity,path,bbox,orientation,date,species,keypoints\n"
        '0,7c1,0012,images/a/1.jpg,"[10.0, 20.5, 30.0, 40.0]",left,2012-05-01 10:00:00,leopard,"[1, 2]"\n'
        '1,7c2,unknown,images/a/1.jpg,"[50.0, 20.0, 30.0, 40.0]",right,NaT,leopard,\n'
        "2,7c3,12,images/b 2.jpg,,,,hyena,\n"
    )
    (tmp_path / "metadata.csv").write_text(text)
    options = {"file": str(tmp_path / "metadata.csv")}
    records = READERS.build("wildlife", options, seed=0)
    assert [(record.name, record.individual, record.box) for record in records] == [
        ("images/a/1.jpg", "0012", Box(10, 20.5, 30, 40)),
        ("images/a/1.jpg#2", "", Box(50, 20, 30, 40)),
        ("images/b 2.jpg", "12", None),
    ]
    assert dict(records[0].attributes) == {
        "date": "2012-05-01 10:00:00", "side": "left", "species": "leopard", "image_id": "7c1", "keypoints": "[1, 2]",
    }  # fmt: skip
    assert records[1].attributes["date"] == ""
    with pytest.raises(DataError, match=r"line 3: photo images/a/1\.jpg is already on line 2"):  # one animal each
        READERS.build("wildlife", options | {"crop": "whole"}, seed=0)


def test_wildlife_reid_10k_has_no_boxes_and_a_split(tmp_path: Path) -> None:
    touched(tmp_path, "images/ATRW/1.jpg", "images/SealID/x.png")
    text = (
        "identity,path,date,orientation,species,split,dataset,cluster_id\n"
        "ATRW_12,images/ATRW/1.jpg,,right,tiger,train,ATRW,ATRW_0\n"
        "SealID_12,images/SealID/x.png,2017-08-01,,seal,test,SealID,\n"
    )
    (tmp_path / "metadata.csv").write_text(text)
    records = READERS.build("wildlife", {"file": str(tmp_path / "metadata.csv"), "group": "dataset"}, seed=0)
    assert [(record.individual, record.group, record.attributes["split"]) for record in records] == [
        ("ATRW_12", "ATRW", "train"), ("SealID_12", "SealID", "test"),
    ]  # fmt: skip
    assert records[0].attributes["cluster_id"] == "ATRW_0"


def test_an_older_table_calls_the_side_position(tmp_path: Path) -> None:
    touched(tmp_path, "1.jpg")
    (tmp_path / "metadata.csv").write_text("identity,path,position\na,1.jpg,left\n")
    options = {"file": str(tmp_path / "metadata.csv")}
    assert dict(READERS.build("wildlife", options, seed=0)[0].attributes) == {"position": "left"}
    assert dict(READERS.build("wildlife", options | {"side": "position"}, seed=0)[0].attributes) == {"side": "left"}
    with pytest.raises(DataError, match=r"no column 'positon' \(option 'side'\) \(did you mean 'position'\?\)"):
        READERS.build("wildlife", options | {"side": "positon"}, seed=0)
