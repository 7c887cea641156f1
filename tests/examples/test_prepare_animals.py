"""prepare.py of the animals: from the public download to a folder of photos with a table."""

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "animals" / "prepare.py"


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """A download in the public layout, a file below another folder, with other files among the photos."""
    root = tmp_path / "download" / "wildlife_reidentification-main"
    names = {
        "Nyala_Data_Zero/train/7": ["14_leftphoto.jpg", "14_rightphoto.JPG", "9_leftphoto.jpg"],
        "Nyala_Data_Zero/test/0012": [f"{number}_rightphoto.jpg" for number in range(6)],
        "Nyala_Data_Zero/test/3": ["1_leftphoto.jpg", "Thumbs.db"],
        "Lion_Data_Zero/train/Amber": ["Amber_Left_Face.png", "Amber_Portrait.jpg"],
        "Lion_Data_Zero/val/Old Tom": ["Old Tom_Right_ear.png", "Old Tom_whiskers.png"],
    }
    for folder, files in names.items():
        (root / folder).mkdir(parents=True)
        for number, file in enumerate(files):
            (root / folder / file).write_bytes(f"{folder} {number}".encode())
    return root.parent


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_photo_is_copied_with_what_its_name_says(download: Path, tmp_path: Path) -> None:
    done = call(download, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "nyala: 10 photos of 3 individuals, 3 of them to test" in done.stdout
    nyalas = {row["photo"]: row for row in rows(tmp_path / "out" / "nyala" / "photos.csv")}
    one = nyalas["photos/7/14_rightphoto.JPG"]
    assert (one["individual"], one["encounter"], one["side"], one["folder"]) == ("7", "14", "right", "train")
    assert nyalas["photos/0012/5_rightphoto.jpg"]["individual"] == "0012"
    assert (tmp_path / "out" / "nyala" / "photos/7/9_leftphoto.jpg").read_text() == "Nyala_Data_Zero/train/7 2"
    lions = {row["photo"]: row for row in rows(tmp_path / "out" / "lions" / "photos.csv")}
    ear = lions["photos/Old Tom/Old Tom_Right_ear.png"]
    assert (ear["individual"], ear["side"], ear["view"], ear["encounter"]) == ("Old Tom", "right", "right ear", "")
    assert lions["photos/Amber/Amber_Portrait.jpg"]["view"] == "portrait"


def test_a_fifth_of_each_individual_tests_and_every_test_individual_trains(download: Path, tmp_path: Path) -> None:
    call(download, "--out", tmp_path / "a")
    table = rows(tmp_path / "a" / "nyala" / "photos.csv")
    parts = {part: Counter(row["individual"] for row in table if row["split"] == part) for part in ("train", "test")}
    assert parts == {"train": {"7": 2, "0012": 4, "3": 1}, "test": {"7": 1, "0012": 2}}
    call(download, "--out", tmp_path / "b")
    assert rows(tmp_path / "b" / "nyala" / "photos.csv") == table, "the seed decides the split"
    splits = set()
    for seed in range(1, 5):
        call(download, "--out", tmp_path / "b", "--seed", seed)
        splits.add((tmp_path / "b" / "nyala" / "photos.csv").read_text())
    assert len(splits) > 1


def test_what_is_no_such_download_is_refused(download: Path, tmp_path: Path) -> None:
    for place, says in ((tmp_path / "gone", "no such folder"), (tmp_path, "")):
        done = call(place, "--out", tmp_path / "out")
        assert done.returncode == (2 if says else 0), done.stderr
        assert says in done.stderr
    (tmp_path / "empty").mkdir()
    done = call(tmp_path / "empty", "--out", tmp_path / "other")
    assert done.returncode == 2
    assert "contains neither Nyala_Data_Zero or Lion_Data_Zero with photos" in done.stderr
    odd = next(download.rglob("9_leftphoto.jpg"))
    odd.rename(odd.with_name("nine_left.jpg"))
    done = call(download, "--out", tmp_path / "other")
    assert done.returncode == 2
    assert "expected a name such as 14_leftphoto.jpg" in done.stderr
    assert not (tmp_path / "other").exists(), "nothing is written"
