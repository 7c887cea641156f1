"""Folders of photos: one answer to what a photo is, for readers, `embed` and `init`."""

from __future__ import annotations

from pathlib import Path

import pytest

from siamesekit.artifact.embedding_files import photos_and_individuals
from siamesekit.components.readers.folder import read_folder
from siamesekit.config.project.survey import locate
from siamesekit.data.folder_walk import photos_below
from siamesekit.data.photo_folders import PHOTO_SUFFIXES, folders_in, is_photo, photos_in
from siamesekit.errors import DataError

PHOTOS = ("1.jpg", "2.JPG", "3.jfif", "10.png", "a.b.tiff", "é.gif", "x.webp")
OTHERS = ("notes.txt", "._1.jpg", ".hidden.png", "jpg", "1.jpg.part", "1.nef", ".jpg")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """root/individual and root/individual/deeper, each with photos and other files; hidden and linked folders."""
    for place in ("individual", "individual/deeper", "individual/.thumbs", ".hidden", "elsewhere"):
        (tmp_path / "root" / place).mkdir(parents=True)
    for place in ("individual", "individual/deeper", "individual/.thumbs", ".hidden"):
        for name in (*PHOTOS, *OTHERS):
            (tmp_path / "root" / place / name).touch()
    (tmp_path / "root/individual/link").symlink_to(tmp_path / "root/individual/deeper")
    (tmp_path / "root/elsewhere").rmdir()
    return tmp_path / "root"


def test_a_photo_is_told_by_its_suffix_and_hidden_files_are_none() -> None:
    assert all(map(is_photo, PHOTOS))
    assert not any(map(is_photo, OTHERS))
    assert all(is_photo(f"x{suffix.upper()}") for suffix in PHOTO_SUFFIXES)


def test_photos_are_in_the_order_in_which_people_count(tree: Path) -> None:
    assert [file.name for file in photos_in(tree / "individual")] == [
        "a.b.tiff", "x.webp", "é.gif", "1.jpg", "2.JPG", "3.jfif", "10.png"
    ]  # fmt: skip
    assert [path.name for path in folders_in(tree)] == ["individual"]


def test_readers_embed_and_init_see_the_same_photos(tree: Path) -> None:
    below = photos_below(tree)
    assert sorted(file.relative_to(tree).as_posix() for file in below) == sorted(
        f"{place}/{name}" for place in ("individual", "individual/deeper") for name in PHOTOS
    )
    assert (
        [record.source for record in read_folder(tree)]
        == below
        == [photo for photo, _ in photos_and_individuals([tree])]
    )
    assert locate(tree) == tree


@pytest.mark.parametrize("suffix", PHOTO_SUFFIXES)
def test_a_folder_of_any_of_the_formats_is_found(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "animal").mkdir()
    (tmp_path / "animal" / f"1{suffix}").touch()
    assert locate(tmp_path) == tmp_path
    assert len(read_folder(tmp_path)) == len(photos_and_individuals([tmp_path])) == 1


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone cannot be read: No such file or directory; check its permissions"):
        photos_below(tmp_path / "gone")
