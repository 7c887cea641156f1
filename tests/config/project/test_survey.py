"""Photos looked at: where they are, how many of whom, of what sizes; and what is no photo does no harm."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from siamesekit.config import load_config
from siamesekit.config.project import survey as photo_survey
from siamesekit.config.project.project import make_project
from siamesekit.config.project.survey import locate, survey
from siamesekit.errors import DataError
from siamesekit.files.run_files import CONFIG


def draw(folder: Path, counts: dict[str, int], size: tuple[int, int] = (60, 50)) -> Path:
    """`folder/INDIVIDUAL/0.png …`, so many of each, in one colour each."""
    for number, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for photo in range(count):
            Image.new("RGB", size, (number * 20 % 256, photo * 30 % 256, 99)).save(folder / name / f"{photo}.png")
    return folder


def even(individuals: int, photos: int) -> dict[str, int]:
    """So many photos each of so many individuals."""
    return {f"i{number:03}": photos for number in range(individuals)}


@pytest.mark.parametrize("inside", ["", "photos", "data"])
def test_photos_are_found_where_they_look_like_individuals(tmp_path: Path, inside: str) -> None:
    draw(tmp_path / inside, {"ann": 2, "bob": 2})
    assert locate(tmp_path) == tmp_path / inside


def test_a_folder_around_the_photos_is_not_an_individual(tmp_path: Path) -> None:
    draw(tmp_path / "photos", {"ann": 2, "bob": 2})
    (tmp_path / "notes").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "notes" / "map.png")
    assert locate(tmp_path) == tmp_path / "photos"


def test_loose_photos_and_no_photos_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no photos in .*: put them at .*photos/INDIVIDUAL/photo.jpg.*--photos FOLDER"):
        locate(tmp_path / "new")
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(DataError, match="no photos in"):
        locate(tmp_path)
    for number in range(3):
        Image.new("RGB", (9, 9)).save(tmp_path / f"{number}.jpg")
    assert locate(tmp_path) == tmp_path
    with pytest.raises(
        DataError, match=r"3 photos lie directly in it, .*: give each individual a folder, .*/INDIVIDUAL/"
    ):
        survey(tmp_path)


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()

    def refuse(folder: str | Path) -> list[os.DirEntry[str]]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="cannot be read: Permission denied; check its permissions"):
        locate(tmp_path)


def test_a_survey_counts_photos_individuals_and_pixels(tmp_path: Path) -> None:
    draw(tmp_path, {"ann": 3, "bob": 2, "cid": 1}, (60, 50))
    draw(tmp_path, {"dan": 2}, (30, 90))
    found = survey(tmp_path)
    assert (found.reader, found.option, found.place) == ("folder", "root", tmp_path)
    assert found.counts == {"ann": 3, "bob": 2, "cid": 1, "dan": 2}
    assert found.singletons == 1
    assert Counter(found.sides) == {(50, 60): 6, (30, 90): 2}
    assert (found.unreadable, found.notes) == (0, ())


def test_sizes_are_of_headers_and_of_a_bounded_number_of_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path, {"ann": 20, "bob": 21})
    for file in tmp_path.rglob("*.png"):
        file.write_bytes(file.read_bytes()[:60])  # a header and no pixels
    monkeypatch.setattr(photo_survey, "LOOKED_AT", 10)
    found = survey(tmp_path)
    assert len(found.records) == 41
    assert 5 <= len(found.sides) <= 10
    assert set(found.sides) == {(50, 60)}


def test_what_is_no_picture_is_counted_and_nothing_but_such_refused(tmp_path: Path) -> None:
    draw(tmp_path, {"ann": 2, "bob": 2})
    (tmp_path / "ann" / "0.png").write_text("no picture")
    assert survey(tmp_path).notes == ("1 of 4 inspected photos are not images: siamesekit check names them",)
    for file in tmp_path.rglob("*.png"):
        file.write_bytes(b"")
    with pytest.raises(DataError, match="none of the 4 inspected photos is an image"):
        survey(tmp_path)


def test_a_survey_says_what_it_leaves_out(tmp_path: Path) -> None:
    draw(tmp_path / "all" / "train", {"ann": 2, "bob": 2})
    draw(tmp_path / "all" / "test", {"cid": 2, "dan": 2})
    Image.new("RGB", (9, 9)).save(tmp_path / "all" / "map.png")
    (loose,) = survey(tmp_path / "all").notes
    assert loose.startswith("1 photo was left out") and loose.endswith("map.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes POSIX's special files")
def test_a_pipe_called_like_a_photo_is_not_waited_for(tmp_path: Path) -> None:
    draw(tmp_path, {"ann": 2, "bob": 2})
    os.mkfifo(tmp_path / "ann" / "pipe.png")
    assert survey(tmp_path).unreadable == 1


def test_links_in_a_circle_are_no_individuals(tmp_path: Path) -> None:
    draw(tmp_path, {"ann": 2, "bob": 2})
    (tmp_path / "cid").symlink_to(tmp_path / "cid")
    assert locate(tmp_path) == tmp_path
    assert survey(tmp_path).counts == {"ann": 2, "bob": 2}


@pytest.mark.medium
@pytest.mark.parametrize(
    ("header", "delimiter", "options"),
    [
        ("photo,individual", ",", {}),
        ("individual,photo", ",", {}),
        ("Image,Id", ",", {"photo": "Image", "individual": "Id"}),
        ("site;filename;identity", ";", {"photo": "filename", "individual": "identity"}),
        ("\ufeffphoto\tlabel", "\t", {"individual": "label"}),
    ],
)
def test_a_table_of_photos_is_read_by_its_header(
    tmp_path: Path, header: str, delimiter: str, options: dict[str, str]
) -> None:
    draw(tmp_path / "shots", even(4, 3))
    cells = {"site": "north", "id": "", "individual": "", "identity": "", "label": ""}
    rows = [header]
    for file in sorted((tmp_path / "shots").rglob("*.png")):
        named = [column.strip("\ufeff").lower() for column in header.split(delimiter)]
        who, where = file.parent.name, file.relative_to(tmp_path).as_posix()
        rows.append(delimiter.join((cells[name] or who) if name in cells else where for name in named))
    (tmp_path / "photos.csv").write_text("\n".join(rows), encoding="utf-8")
    make_project(tmp_path / "new", tmp_path / "photos.csv")
    config = load_config(tmp_path / "new" / CONFIG)
    assert config.data.reader == "csv"
    assert config.data.options["file"] == (tmp_path / "photos.csv").resolve()
    assert {name: config.data.options[name] for name in options} == options
    found = survey(tmp_path / "photos.csv")
    assert (found.options, found.counts) == (options, even(4, 3))


def test_a_table_whose_header_no_parser_takes_is_the_reader_s_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a" * 200_000 + ",b\n1,2\n")
    with pytest.raises(DataError):
        survey(tmp_path / "t.csv")


def test_files_that_are_passed_over_are_counted_by_suffix(tmp_path: Path) -> None:
    draw(tmp_path, {"ann": 2, "bob": 2})
    for name in ("ann/a.nef", "ann/b.NEF", "bob/deep/c.mov", "bob/notes.txt", "bob/.DS_Store", "bob/README"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    [note] = survey(tmp_path).notes
    assert note.startswith("5 files skipped: ")
    assert {"1 .nef", "1 .NEF", "1 .mov", "1 .txt", "1 without a suffix"} == set(
        note.removeprefix("5 files skipped: ").partition(";")[0].split(", ")
    )


def table(folder: Path, header: str, row: str) -> Path:
    """A table of drawn photos; a row is filled with the photo's file and its individual."""
    files = sorted(draw(folder / "shots", even(4, 3)).rglob("*.png"))
    rows = [row.format(file=file.relative_to(folder).as_posix(), who=file.parent.name) for file in files]
    (folder / "t.csv").write_text("\n".join([header, *rows]))
    return folder / "t.csv"


@pytest.mark.parametrize(
    ("header", "row"),
    [("file;who", "{file};{who}"), ("where,age,whale", "{file},3,{who}"), ("seal\tpicture\tsite", "{who}\t{file}\tx")],
)
def test_columns_of_other_names_are_guessed_by_what_stands_in_them(tmp_path: Path, header: str, row: str) -> None:
    found = survey(table(tmp_path, header, row))
    assert found.counts == even(4, 3)
    assert "column " in found.notes[-1] and found.notes[-1].endswith("if this is wrong, change it in the config")


def test_columns_that_cannot_be_guessed_are_asked_for_with_the_options(tmp_path: Path) -> None:
    file = table(tmp_path, "file,who,whom", "{file},{who},{who}")
    with pytest.raises(DataError) as caught:
        survey(file)
    said = str(caught.value)
    assert "its columns: file, who, whom" in said and "individual: individual, individual_id" in said
    assert "--set 'data.photo=COLUMN' --set 'data.individual=COLUMN'" in said
    found = survey(file, overrides=["data.photo=file", "data.individual=who"])
    assert found.counts == even(4, 3)
