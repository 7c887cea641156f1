"""Reader `kaggle-whales`: a download as Kaggle packs it."""

from pathlib import Path

import pytest

from helpers import touched
from siamesekit.errors import DataError, MissingDataError
from siamesekit.registry import READERS


def download(root: Path, rows: str) -> dict[str, str]:
    touched(root, "train/0000e88ab.jpg", "train/0001f9222.jpg", "train/00029d126.jpg", "test/00028a005.jpg")
    (root / "train.csv").write_bytes(b"\xef\xbb\xbfImage,Id\r\n" + rows.encode())
    (root / "sample_submission.csv").write_text("Image,Id\n00028a005.jpg,new_whale w_f48451c\n")
    return {"root": str(root)}


ROWS = "0000e88ab.jpg,w_f48451c\r\n0001f9222.jpg,new_whale\r\n00029d126.jpg,w_f48451c\r\n"


def test_new_whales_are_unknown_and_the_test_is_not_read(tmp_path: Path) -> None:
    records = READERS.build("kaggle-whales", download(tmp_path, ROWS), seed=0)
    assert [(record.name, record.individual) for record in records] == [
        ("0000e88ab.jpg", "w_f48451c"), ("0001f9222.jpg", ""), ("00029d126.jpg", "w_f48451c"),
    ]  # fmt: skip
    assert [record.source for record in records] == [tmp_path / "train" / record.name for record in records]
    left = READERS.build("kaggle-whales", download(tmp_path, ROWS) | {"leave_out": ["new_whale"]}, seed=0)
    assert [record.name for record in left] == ["0000e88ab.jpg", "00029d126.jpg"]


def test_a_photo_that_was_not_unpacked_is_told(tmp_path: Path) -> None:
    options = download(tmp_path, ROWS + "ffff.jpg,w_1\r\n")
    with pytest.raises(DataError, match=r"(?s)1 problem in .*train\.csv.*line 5: no such photo: ffff\.jpg"):
        READERS.build("kaggle-whales", options, seed=0)


def test_a_download_in_another_folder_is_missing_data(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"there is no file .*train\.csv"):
        READERS.build("kaggle-whales", {"root": str(tmp_path)}, seed=0)
    (tmp_path / "train.csv").write_text("Image,Id\n")
    with pytest.raises(MissingDataError, match=r"there is no folder .*train: put the photos of .*train\.csv there"):
        READERS.build("kaggle-whales", {"root": str(tmp_path)}, seed=0)
