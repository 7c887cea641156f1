"""A walk through a folder of photos: systems' files are left alone, links are followed only if asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import touched
from siamesekit.data.folder_walk import photos_below, walk

SYSTEMS = (
    "@eaDir/1.jpg/SYNOPHOTO_THUMB_XL.jpg", "#recycle/1.jpg", "@Recycle/1.jpg", "lost+found/1.jpg",
    "$RECYCLE.BIN/1.jpg", "System Volume Information/1.jpg", "__MACOSX/a/._1.jpg", ".thumbnails/1.jpg", "@tmp/1.jpg",
)  # fmt: skip


def names(root: Path, follow_links: bool = False) -> list[str]:
    return [file.relative_to(root).as_posix() for file in walk(root, follow_links).files]


@pytest.mark.parametrize("where", ["", "seal/", "seal/2019/"])
@pytest.mark.parametrize("file", SYSTEMS)
def test_folders_of_systems_are_left_alone_at_every_level(tmp_path: Path, where: str, file: str) -> None:
    root = touched(tmp_path, "seal/1.jpg", where + file)
    found = walk(root)
    assert names(root) == ["seal/1.jpg"]
    folder = file.partition("/")[0]
    assert found.left_alone == {folder: 1}
    assert found.notes() == [f"left alone, as hidden or made by a system: 1 {folder}"]


def test_hidden_photos_and_systems_files_are_counted_and_other_hidden_files_are_not(tmp_path: Path) -> None:
    hidden = ("a/._1.jpg", "a/._2.JPG", "a/.3.png", "a/.DS_Store")
    root = touched(tmp_path, "a/1.jpg", "a/notes.txt", "a/Thumbs.db", "b/THUMBS.DB", "a/desktop.ini", *hidden)
    found = walk(root)
    assert names(root) == ["a/notes.txt", "a/1.jpg"]
    assert found.left_alone == {"._*": 2, "hidden photos": 1, "Thumbs.db": 1, "THUMBS.DB": 1, "desktop.ini": 1}


def test_individuals_may_be_called_nearly_like_folders_of_systems(tmp_path: Path) -> None:
    root = touched(tmp_path, "recycle/1.jpg", "#1/1.jpg", "@anna/1.jpg", "lost/1.jpg", "thumbs.db/1.jpg")
    assert len(names(root)) == 5 and not walk(root).left_alone


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """`photos` with a folder, a photo and a text that are links out of it, and links inside it."""
    touched(tmp_path, "store/b/1.jpg", "store/2.jpg", "store/notes.txt", "photos/a/1.jpg")
    root = tmp_path / "photos"
    (root / "b").symlink_to("../store/b")
    (root / "a" / "2.jpg").symlink_to("../../store/2.jpg")
    (root / "a" / "notes.txt").symlink_to("../../store/notes.txt")
    (root / "a" / "same.jpg").symlink_to("1.jpg")
    (root / "a" / "again").symlink_to("../a")
    return root


def test_links_that_lead_out_are_not_followed_and_are_named(linked: Path) -> None:
    found = walk(linked)
    assert names(linked) == ["a/same.jpg", "a/1.jpg"]
    store = str(linked.parent / "store")
    assert sorted(found.links_out) == [("a/2.jpg", f"{store}/2.jpg"), ("b", f"{store}/b")]
    assert found.links_inside == 1
    assert "1 link to folders inside" in found.notes()[0]


def test_with_follow_links_all_are_followed_and_circles_end(linked: Path) -> None:
    (linked.parent / "store" / "b" / "up").symlink_to(linked)
    found = walk(linked, follow_links=True)
    assert names(linked, True) == ["a/notes.txt", "a/same.jpg", "a/1.jpg", "a/2.jpg", "b/1.jpg"]
    assert (found.links_out, found.links_inside) == ((), 0)
    assert [file.name for file in photos_below(linked, True)] == ["same.jpg", "1.jpg", "2.jpg", "1.jpg"]


def test_the_folder_itself_may_be_a_link(linked: Path) -> None:
    (linked.parent / "link").symlink_to(linked)
    assert names(linked.parent / "link") == ["a/same.jpg", "a/1.jpg"]
