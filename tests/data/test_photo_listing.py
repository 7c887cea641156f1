"""Photos by their paths in a table: found where `os.path` finds them, whatever the spelling."""

import os
from pathlib import Path

import pytest

from helpers import touched
from siamesekit.data.photo_listing import PhotoListing


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
