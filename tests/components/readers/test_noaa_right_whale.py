"""Reader `noaa-right-whale`: a download as Kaggle packs it."""

from pathlib import Path

import pytest

from helpers import touched
from siamesekit.errors import DataError
from siamesekit.registry import READERS


def test_photos_of_the_table_are_read_and_the_others_are_not(tmp_path: Path) -> None:
    touched(tmp_path, "imgs/w_7812.jpg", "imgs/w_4598.jpg", "imgs/w_1.jpg")
    (tmp_path / "train.csv").write_text("Image,whaleID\nw_7812.jpg,whale_48813\nw_4598.jpg,whale_09913\n")
    options = {"root": str(tmp_path)}
    records = READERS.build("noaa-right-whale", options, seed=0)
    assert [(record.name, record.individual, record.source) for record in records] == [
        ("w_7812.jpg", "whale_48813", tmp_path / "imgs" / "w_7812.jpg"),
        ("w_4598.jpg", "whale_09913", tmp_path / "imgs" / "w_4598.jpg"),
    ]
    (tmp_path / "train.csv").write_text("Image,Id\nw_7812.jpg,whale_48813\n")
    with pytest.raises(DataError, match="no column 'whaleID'"):
        READERS.build("noaa-right-whale", options, seed=0)
