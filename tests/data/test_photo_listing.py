"""Photos by their paths in a table: found where `os.path` finds them, whatever the spelling."""

import os
from pathlib import Path

import pytest

from helpers import touched
from siamesekit.data.photo_listing import LinkOutsideError, PhotoListing


def test_photos_are_found_in_every_spelling(tmp_path: Path) -> None:
    root = touched(tmp_path / "photos", "1.jpg", "a/2.jpg", "a/b/3.jpg")
    (root / "link.jpg").symlink_to(root / "1.jpg")
    (root / "dead.jpg").symlink_to(root / "absent.jpg")
    listing = PhotoListing(root)
    spellings = ["1.jpg", "./1.jpg", "a/2.jpg", "a/../1.jpg", "a//2.jpg", "a/./b/3.jpg", f"{root}/a/2.jpg", "link.jpg",
                 "dead.jpg", "absent.jpg", "a", "a/", "a/..", ".", "c/1.jpg", "a\0b/1.jpg", "x" * 5000]  # fmt: skip
    for photo in spellings * 2:
        path, exists = listing.find(photo)
        assert (path, exists) == (os.path.normpath(root / photo), os.path.isfile(root / photo))  # noqa: PTH113
    assert sum(listing.find(photo)[1] for photo in spellings) == 8


@pytest.mark.parametrize(
    "photo", ["../1.jpg", "/1.jpg", "a/../../1.jpg", "../photos2/1.jpg", "a/../../photos/../1.jpg"]
)
def test_a_photo_outside_is_refused(tmp_path: Path, photo: str) -> None:
    touched(tmp_path, "1.jpg", "photos/1.jpg", "photos2/1.jpg")
    listing = PhotoListing(tmp_path / "photos")
    assert listing.find("1.jpg")[1]
    with pytest.raises(ValueError, match="is outside"):
        listing.find(photo)


ZOE = "Zo\u00eb", "Zoe\u0308"
"""One name in the two Unicode forms: one letter, and a letter with an accent of its own."""


@pytest.mark.parametrize(
    ("on_disk", "in_table", "ways"),
    [
        ("a/1.jpg", "a\\1.jpg", {"windows"}),
        ("photos/a/1.jpg", "C:\\Users\\me\\photos\\a\\1.jpg", {"windows"}),
        ("photos/a/1.jpg", "C:/Users/me/photos/a/1.jpg", {"windows"}),
        ("a/1.jpg", "\\\\server\\share\\a\\1.jpg", {"windows"}),
        ("a/1.jpg", "a/1.JPG", {"case"}),
        ("Anna/1.jpg", "anna/1.jpg", {"case"}),
        ("Anna/1.JPG", "ANNA\\1.jpg", {"windows", "case"}),
        (f"{ZOE[0]}/1.jpg", f"{ZOE[1]}/1.jpg", {"unicode"}),
        (f"{ZOE[1]}.jpg", f"{ZOE[0]}.jpg", {"unicode"}),
        (f"{ZOE[1]}.jpg", f"{ZOE[0].upper()}.jpg", {"unicode", "case"}),
    ],
)
def test_a_photo_is_found_although_the_table_spells_it_otherwise(
    tmp_path: Path, on_disk: str, in_table: str, ways: set[str]
) -> None:
    listing = PhotoListing(touched(tmp_path, on_disk))
    for _ in range(2):
        assert listing.find(in_table) == (str(tmp_path / on_disk), True)
    assert listing.respelled == dict.fromkeys(ways, 2)
    assert listing.notes()[0].startswith("photos found although the table spells them otherwise: 2 ")


def test_of_two_files_that_differ_by_case_the_right_one_is_taken_or_none(tmp_path: Path) -> None:
    listing = PhotoListing(touched(tmp_path, "a.jpg", "A.jpg", "b/1.jpg", "B/1.jpg"))
    assert listing.find("A.jpg") == (str(tmp_path / "A.jpg"), True)
    assert not listing.find("a.JPG")[1]
    assert listing.find("B/1.jpg") == (str(tmp_path / "B" / "1.jpg"), True)
    assert not listing.respelled


def test_of_a_path_with_a_drive_the_longest_end_is_taken(tmp_path: Path) -> None:
    listing = PhotoListing(touched(tmp_path, "1.jpg", "a/1.jpg", "a/2.jpg", "b/a/2.jpg"))
    assert listing.find("D:\\b\\a\\1.jpg")[0] == str(tmp_path / "a" / "1.jpg")
    assert listing.find("D:\\b\\a\\2.jpg")[0] == str(tmp_path / "a" / "2.jpg")  # as the path before
    assert PhotoListing(tmp_path).find("D:\\b\\a\\2.jpg")[0] == str(tmp_path / "b" / "a" / "2.jpg")
    assert not listing.find("D:\\b\\a\\3.jpg")[1]


def test_no_spelling_leads_out_of_the_root(tmp_path: Path) -> None:
    touched(tmp_path, "secret.jpg", "photos/1.jpg")
    listing = PhotoListing(tmp_path / "photos")
    assert not listing.find("..\\secret.jpg")[1]
    assert not listing.find("C:\\..\\secret.jpg")[1]


def test_a_photo_behind_a_link_that_leads_out_is_refused_by_the_link(tmp_path: Path) -> None:
    touched(tmp_path, "store/1.jpg", "store/b/2.jpg", "photos/3.jpg")
    root = tmp_path / "photos"
    (root / "s").symlink_to("../store")
    (root / "1.jpg").symlink_to("../store/1.jpg")
    (root / "same.jpg").symlink_to("3.jpg")
    listing = PhotoListing(root)
    assert listing.find("same.jpg")[1]
    for photo, link, target in (
        ("s/b/2.jpg", "s", "store"),
        ("S/1.jpg", "s", "store"),
        ("1.jpg", "1.jpg", "store/1.jpg"),
    ):
        with pytest.raises(LinkOutsideError) as caught:
            listing.find(photo)
        assert caught.value.args == (link, str(tmp_path / target))
    following = PhotoListing(root, follow_links=True)
    assert all(following.find(photo)[1] for photo in ("s/b/2.jpg", "1.jpg", "same.jpg"))
