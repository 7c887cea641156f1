"""Pictures that are not read here: a folder of nothing else says what they are and what helps, in every command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from siamesekit.artifact.embedding_files import records_of_inputs
from siamesekit.config.project.survey import locate
from siamesekit.data import foreign_formats, photo_folders
from siamesekit.data.passed_over import sentence_of_pictures
from siamesekit.data.reading import read_photos
from siamesekit.errors import DataError

TOLD = "2 .HEIC and 1 .heic files are not read here; .HEIC and .heic: a HEIC photo, to read it: pip install"


@pytest.fixture
def heic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of HEIC photos, on a machine without the extra."""
    monkeypatch.setattr(foreign_formats, "HEIF_IS_READ", False)
    suffixes = tuple(suffix for suffix in photo_folders.PHOTO_SUFFIXES if suffix not in (".heic", ".heif", ".hif"))
    monkeypatch.setattr(photo_folders, "PHOTO_SUFFIXES", suffixes)
    for name in ("a/1.HEIC", "a/2.HEIC", "b/3.heic", "b/notes.txt", "a/._1.HEIC"):
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    return tmp_path / "photos"


@pytest.mark.parametrize(
    "read",
    [
        lambda folder: read_photos("folder", {"root": folder}),
        lambda folder: read_photos("folder", {"root": folder, "pattern": "{individual}/x_*"}),
        locate,
        lambda folder: records_of_inputs([folder]),
    ],
    ids=["run", "pattern", "init", "embed"],
)
def test_a_folder_of_heic_photos_alone_says_what_helps(heic: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(DataError) as error:
        read(heic)
    assert str(error.value).startswith(f"{heic}: {TOLD}") and "[heif]" in str(error.value)
    assert "no photos" not in str(error.value)


def test_beside_photos_they_are_counted_in_a_note(heic: Path) -> None:
    (heic / "a" / "3.jpg").write_bytes(b"")
    found = records_of_inputs([heic])
    assert [record.name for record in found] == [str(heic / "a" / "3.jpg")]
    assert any(TOLD in note for note in found.notes)


def test_other_files_are_no_pictures() -> None:
    assert sentence_of_pictures([Path("a/notes.txt"), Path("a/report.pdf"), Path("a/1")]) == ""
    assert sentence_of_pictures([Path("a/1.psd")]).startswith("1 .psd file is not read here; .psd: a Photoshop file")
