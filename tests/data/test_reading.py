"""Reading by a reader: missing photos and links are an error, or are left out and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import touched
from siamesekit.data.reading import read_photos
from siamesekit.data.unusable import UnusablePhotosError
from siamesekit.errors import DataError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A table of four photos, of which one is missing and one is on the web."""
    touched(tmp_path, "1.jpg", "2.jpg")
    file = tmp_path / "t.csv"
    file.write_text("photo,individual\n1.jpg,ann\n2.jpg,ann\n3.jpg,bob\nhttps://x.org/4.jpg,bob\n")
    return file


def test_missing_photos_are_an_error_that_has_the_others(file: Path) -> None:
    with pytest.raises(UnusablePhotosError) as caught:
        read_photos("csv", {"file": str(file)})
    assert str(caught.value).splitlines() == [
        f"2 problems in {file}",
        "  line 4: no such photo: 3.jpg",
        "  line 5: https://x.org/4.jpg is on another machine, and no root there was given: set data.root to the "
        "address below which the photos are, or download it and write its path",
        "  fix them, or leave them out with --skip-bad",
    ]
    assert [record.name for record in caught.value.records] == ["1.jpg", "2.jpg"]


def test_missing_photos_are_left_out_if_asked_and_told(file: Path) -> None:
    found = read_photos("csv", {"file": str(file)}, skip_bad=True)
    assert [record.name for record in found] == ["1.jpg", "2.jpg"]
    assert [(finding.name, finding.reason) for finding in found.left_out] == [
        ("line 4", "no such photo: 3.jpg"),
        ("line 5", "https://x.org/4.jpg is on another machine, and no root there was given"),
    ]
    assert found.notes[-1].startswith("2 photos cannot be used and were left out: no such photo: 3.jpg, https")


def test_other_faults_of_a_table_are_never_left_out(file: Path) -> None:
    file.write_text(file.read_text() + "1.jpg,bob\n")
    with pytest.raises(DataError, match="3 problems") as caught:
        read_photos("csv", {"file": str(file)}, skip_bad=True)
    assert not isinstance(caught.value, UnusablePhotosError)


def test_a_table_without_any_photo_says_where_they_were_looked_for(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("photo,individual\n1.jpg,ann\n")
    with pytest.raises(DataError, match=r"photos were looked for in .*: if they are elsewhere, set data\.root"):
        read_photos("csv", {"file": str(tmp_path / "t.csv")}, skip_bad=True)


@pytest.mark.parametrize("reader", ["csv", "folder"])
def test_links_out_of_the_folder_are_one_message(tmp_path: Path, reader: str) -> None:
    touched(tmp_path, *(f"store/bob/{number}.jpg" for number in range(30)), "photos/ann/1.jpg")
    (tmp_path / "photos" / "bob").symlink_to("../store/bob")
    rows = ["ann/1.jpg,ann", *(f"bob/{number}.jpg,bob" for number in range(30))]
    (tmp_path / "t.csv").write_text("\n".join(["photo,individual", *rows]))
    root = str(tmp_path / "photos")
    options = {"root": root} if reader == "folder" else {"file": str(tmp_path / "t.csv"), "root": root}
    with pytest.raises(UnusablePhotosError) as caught:
        read_photos(reader, options)
    first, hint = str(caught.value).splitlines()
    assert "out of" in first and f"bob → {tmp_path}/store/bob" in first and "--follow-links" in first
    assert hint == "  fix them, or leave them out with --skip-bad"
    assert len(read_photos(reader, options, skip_bad=True)) == 1
    followed = read_photos(reader, {**options, "follow_links": True})
    assert len(followed) == 31
    assert {record.root for record in followed} == {None}
