"""A run and photos in each other's place, and folders to compare: said with the command that was meant."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from siamesekit.cli.app import app


def refused(*arguments: object) -> str:
    """What a command says that is refused as the user's mistake."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "remove" not in result.stderr
    return result.stderr


@pytest.fixture
def photos(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The photos' folder; the working folder is another one."""
    monkeypatch.chdir(tmp_path)
    return project / "photos"


def test_folders_are_no_photos_to_compare(telling: Path, photos: Path) -> None:
    a, b = photos / "striped_0", photos / "striped_1"
    meant = f"siamesekit embed {telling} {a} {b} -o embeddings.csv"
    assert refused("compare", telling, a, b) == (
        f"error: {a} and {b} are folders; compare takes two photos. For all photos in folders: {meant}\n"
    )
    told = refused("compare", telling, a, b / "0.png")
    assert told.startswith(f"error: {a} is a folder; compare takes two photos.")


@pytest.mark.parametrize("place", [1, 2])
def test_a_run_behind_the_photos_is_recognised(telling: Path, photos: Path, place: int) -> None:
    a, b = photos / "striped_0/0.png", photos / "striped_1/0.png"
    given = [a, b]
    given.insert(place, telling)
    told = refused("compare", *given)
    assert told == f"error: the run's folder comes first: siamesekit compare {telling} {a} {b}\n"
    meant = shlex.split(told.partition("siamesekit ")[2])
    assert CliRunner().invoke(app, meant).exit_code == 0


def test_photos_before_the_run_are_recognised(telling: Path, photos: Path) -> None:
    told = refused("embed", photos, telling, "-o", "e.csv")
    assert told == f"error: the run's folder comes first: siamesekit embed {telling} {photos} -o e.csv\n"
    assert CliRunner().invoke(app, shlex.split(told.partition("siamesekit ")[2])).exit_code == 0
    assert Path("e.csv").is_file()


def test_a_photo_in_the_run_s_place_is_recognised(photos: Path) -> None:
    a = photos / "striped_0/0.png"
    assert refused("compare", a, a, a) == (
        f"error: {a} is a file; the run's folder comes first: siamesekit compare RUN {a} {a}\n"
    )


def test_a_run_that_is_not_there_is_still_said(photos: Path) -> None:
    assert "no such file: gone" in refused("compare", "gone", photos / "striped_0/0.png", photos / "striped_0/1.png")
