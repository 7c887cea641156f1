"""Reader `folder`: what counts as a photo, whose it is, and in which order."""

import os
from pathlib import Path

import pytest

from helpers import touched
from siamesekit.components.readers.folder import Groups, read_folder
from siamesekit.data.photo_folders import PHOTO_SUFFIXES
from siamesekit.data.records import Record, Records
from siamesekit.errors import DataError, MissingDataError


def test_each_photo_is_a_record_of_its_folders_individual(tmp_path: Path) -> None:
    root = touched(tmp_path, "ann/1.jpg", "bob/x.png")
    assert read_folder(root) == [
        Record("ann/1.jpg", "ann", root / "ann/1.jpg"),
        Record("bob/x.png", "bob", root / "bob/x.png"),
    ]


def test_order_is_as_people_count(tmp_path: Path) -> None:
    root = touched(tmp_path, *(f"w_{w}/{p}.jpg" for w in (10, 2, 1) for p in (10, 9, 1, "b2", "b10", "a")))
    photos = ["a", "b2", "b10", 1, 9, 10]
    assert [record.name for record in read_folder(root)] == [f"w_{w}/{p}.jpg" for w in (1, 2, 10) for p in photos]


def test_numbers_of_equal_value_have_a_fixed_order(tmp_path: Path) -> None:
    root = touched(tmp_path, "a/01.jpg", "a/1.jpg", "a/001.jpg", "a/2.jpg")
    assert [record.name for record in read_folder(root)] == ["a/001.jpg", "a/01.jpg", "a/1.jpg", "a/2.jpg"]


def test_hidden_files_and_folders_and_other_suffixes_are_left_alone(tmp_path: Path) -> None:
    root = touched(
        tmp_path, "a/1.jpg", "a/._1.jpg", "a/.hidden/2.jpg", ".git/3.jpg", "a/notes.txt", "a/Thumbs.db", "a/jpg"
    )
    assert [record.name for record in read_folder(root)] == ["a/1.jpg"]


def test_every_suffix_counts_in_either_case(tmp_path: Path) -> None:
    names = [f"a/{i}{suffix}" for i, suffix in enumerate(PHOTO_SUFFIXES)]
    upper = [f"a/{i}{suffix.upper()}" for i, suffix in enumerate(PHOTO_SUFFIXES, len(PHOTO_SUFFIXES))]
    assert [record.name for record in read_folder(touched(tmp_path, *names, *upper))] == names + upper


def test_photos_may_lie_deeper_and_belong_to_the_top_folder(tmp_path: Path) -> None:
    root = touched(tmp_path, "a/2019/left/1.jpg", "a/2018/1.jpg", "b/1.jpg", "b/odd.jpg/2.jpg")
    records = read_folder(root)
    assert [(record.individual, record.name) for record in records] == [
        ("a", "a/2018/1.jpg"),
        ("a", "a/2019/left/1.jpg"),
        ("b", "b/odd.jpg/2.jpg"),
        ("b", "b/1.jpg"),
    ]


def test_loose_photos_are_left_out_where_there_are_individuals(tmp_path: Path) -> None:
    root = touched(tmp_path, "a/1.jpg", "loose.jpg")
    assert [record.name for record in read_folder(root)] == ["a/1.jpg"]


def test_a_link_to_a_folder_inside_an_individual_is_not_followed(tmp_path: Path) -> None:
    root = touched(tmp_path, "a/1.jpg")
    (root / "a" / "loop").symlink_to(root, target_is_directory=True)
    assert [record.name for record in read_folder(root)] == ["a/1.jpg"]


@pytest.mark.parametrize("name", ["two words", "🐋", "new\nline", "Ünï"])
def test_names_may_be_anything(tmp_path: Path, name: str) -> None:
    (record,) = read_folder(touched(tmp_path, f"{name}/{name}.jpg"))
    assert (record.individual, record.name) == (name, f"{name}/{name}.jpg")
    assert record.source == tmp_path / name / f"{name}.jpg"


def test_a_folder_that_is_not_there_is_missing_data(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"there is no folder .*absent: put photos at"):
        read_folder(tmp_path / "absent")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no photos are in it"),
        (["1.jpg", "2.PNG", "x.txt"], "2 photos lie directly in it"),
        (["a/notes.txt"], "no photos are in it"),
    ],
    ids=["empty", "loose photos", "no photos"],
)
def test_a_folder_without_photos_of_individuals_is_refused(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=f"{message}; photos belong into a sub-folder per individual") as caught:
        read_folder(touched(tmp_path, *names))
    assert not isinstance(caught.value, MissingDataError)


def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a file; expected a folder"):
        read_folder(touched(tmp_path, "file") / "file")
    with pytest.raises(DataError, match=r'; for a table of photos: reader = "csv", file = ".*photos\.csv"$'):
        read_folder(touched(tmp_path, "photos.csv") / "photos.csv")


def test_without_groups_a_record_has_none(tmp_path: Path) -> None:
    assert [record.group for record in read_folder(touched(tmp_path, "a/1.jpg", "b/1.jpg"))] == ["", ""]


@pytest.mark.parametrize(
    ("groups", "individuals"), [("of-photos", ["ann", "bob", "ann"]), ("of-individuals", ["2/ann", "2/bob", "10/ann"])]
)
def test_a_level_of_groups_is_of_photos_or_of_individuals(
    tmp_path: Path, groups: Groups, individuals: list[str]
) -> None:
    """The same folder's name in two groups is one individual at two sites, or two of two species."""
    root = touched(
        tmp_path, "10/ann/1.jpg", "2/bob/left/1.jpg", "2/ann/1.jpg", ".git/x/1.jpg", "2/.x/1.jpg", "2/loose.jpg"
    )
    records = read_folder(root, groups)
    assert [record.name for record in records] == ["2/ann/1.jpg", "2/bob/left/1.jpg", "10/ann/1.jpg"]
    assert [record.group for record in records] == ["2", "2", "10"]
    assert [record.individual for record in records] == individuals
    assert [record.source for record in records] == [root / record.name for record in records]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["1.jpg", "a/2.jpg"], "2 photos lie directly in it or in a group's folder"),
        (["a/b/x.txt"], "no photos are in it"),
    ],
)
def test_a_level_of_groups_that_is_not_there_is_refused(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=f"{message}; photos belong into .*/GROUP/INDIVIDUAL/photo.jpg"):
        read_folder(touched(tmp_path, *names), "of-photos")
    with pytest.raises(MissingDataError, match=r"put photos at .*/GROUP/INDIVIDUAL/photo\.jpg"):
        read_folder(tmp_path / "absent", "of-individuals")


def test_a_folder_that_cannot_be_entered_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To root all folders are open, so that the error is raised in the system's place."""
    (tmp_path / "ann").mkdir()
    real = os.scandir

    def denied(path: str) -> object:
        if Path(path).name == "ann":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match=r"ann cannot be read: Permission denied; check its permissions"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "names", "expected"),
    [
        (
            "{site}/{year}/{individual}/",
            ["north/2019/ann/1.jpg", "south/2020/ann/left/1.jpg"],
            [("ann", {"site": "north", "year": "2019"}), ("ann", {"site": "south", "year": "2020"})],
        ),
        (
            "{split}/{individual}/",
            ["test/ann/1.jpg", "train/bob/1.jpg"],
            [("ann", {"split": "test"}), ("bob", {"split": "train"})],
        ),
        ("{individual}_*", ["ann_1.jpg", "ann_2.jpg", "bob_1.jpg"], [("ann", {}), ("ann", {}), ("bob", {})]),
    ],
)  # fmt: skip
def test_a_pattern_says_where_the_individual_is(
    tmp_path: Path, pattern: str, names: list[str], expected: list[tuple[str, dict[str, str]]]
) -> None:
    records = read_folder(touched(tmp_path, *names), pattern=pattern)
    assert [record.name for record in records] == names
    assert [(record.individual, dict(record.attributes)) for record in records] == expected


def test_the_part_group_is_the_records_group_too(tmp_path: Path) -> None:
    (record,) = read_folder(touched(tmp_path, "north/ann/1.jpg"), pattern="{group}/{individual}/")
    assert (record.group, record.attributes["group"]) == ("north", "north")


def test_photos_that_do_not_match_the_pattern_are_left_out_and_told(tmp_path: Path) -> None:
    root = touched(tmp_path, "north/ann/1.jpg", "north/map.jpg", "2.jpg")
    records = read_folder(root, pattern="{site}/{individual}/")
    assert [record.name for record in records] == ["north/ann/1.jpg"]
    assert isinstance(records, Records)
    assert records.notes == (
        "2 photos were left out, because the pattern '{site}/{individual}/' does not match them: north/map.jpg, 2.jpg",
    )
    with pytest.raises(DataError, match=r"does not match any of its 3 photos, such as .*; correct data.pattern"):
        read_folder(root, pattern="{individual}_*_*")
    with pytest.raises(DataError, match="names no individual"):
        read_folder(root, pattern="{site}/")
    with pytest.raises(DataError, match="exclude each other"):
        read_folder(root, "of-photos", "{individual}/")


def test_folders_of_nobody_are_kept_without_a_name_and_told(tmp_path: Path) -> None:
    names = ["ann", "unknown", "New_Whale", "NA", "none", "-1", "?"]
    records = read_folder(touched(tmp_path, *(f"{name}/1.jpg" for name in names), "ann/2.jpg"))
    assert sorted(record.individual for record in records) == ["", "", "", "", "", "", "ann", "ann"]
    assert isinstance(records, Records)
    assert "'New_Whale' on 1" in records.notes[0] and "data.unknown" in records.notes[0]
    assert {record.individual for record in read_folder(tmp_path, unknown=("NA",))} == {*names, ""} - {"NA"}


def test_individuals_are_left_out_by_name_and_counted(tmp_path: Path) -> None:
    root = touched(tmp_path, "ann/1.jpg", "new_whale/1.jpg", "new_whale/2.jpg", "new_whale/3.nef")
    records = read_folder(root, leave_out=("new_whale",))
    assert [record.name for record in records] == ["ann/1.jpg"]
    assert isinstance(records, Records)
    assert records.notes == ("left out as data.leave_out says: 2 photos of new_whale",)
    with pytest.raises(DataError, match=r"leave_out: .* has no individual 'new_wale' \(did you mean 'new_whale'\?\)"):
        read_folder(root, leave_out=("new_wale",))


def test_folders_of_systems_are_no_individuals_and_their_files_no_photos(tmp_path: Path) -> None:
    root = touched(tmp_path, "ann/1.jpg", "ann/@eaDir/1.jpg/SYNOPHOTO_THUMB_XL.jpg", "#recycle/1.jpg", "ann/._1.jpg")
    records = read_folder(root)
    assert [record.name for record in records] == ["ann/1.jpg"]
    assert isinstance(records, Records)
    assert records.notes == ("left alone, as hidden or made by a system: 1 #recycle, 1 ._*, 1 @eaDir",)
