"""A new project: its files written whole or not at all, and nothing that is there overwritten."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from test_survey import draw, even

from siamesekit.config import load_config
from siamesekit.config.project import project as projects
from siamesekit.config.project.config_text import SCHEMA
from siamesekit.config.project.project import IGNORE, make_project
from siamesekit.errors import DataError, OutputError
from siamesekit.experiment.running import check
from siamesekit.files.run_files import CONFIG

pytestmark = pytest.mark.usefixtures("no_hub")


def test_photos_elsewhere_stay_there(tmp_path: Path) -> None:
    photos = draw(tmp_path / "my photos", even(4, 2))
    before = sorted(photos.rglob("*"))
    project = make_project(tmp_path / "deep" / "My birds!", photos)
    config = load_config(tmp_path / "deep" / "My birds!" / CONFIG)
    assert config.name == "My-birds"
    assert config.data.options["root"] == photos.resolve()
    assert sorted(photos.rglob("*")) == before
    assert project.commands[0] == f"siamesekit check '{tmp_path}/deep/My birds!/{CONFIG}'"


def test_a_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        make_project(tmp_path / "new", tmp_path / "gone")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.medium
@pytest.mark.parametrize("name", ["$(touch pwned)", "a b", "it's", "`x`", '"', "*", "~", "-x"])
def test_the_commands_to_go_on_with_can_be_pasted_whatever_the_folder_is_called(tmp_path: Path, name: str) -> None:
    draw(tmp_path / name / "photos", even(4, 2))
    check, run = make_project(tmp_path / name).commands
    assert shlex.split(check) == ["siamesekit", "check", f"{tmp_path}/{name}/{CONFIG}"]
    assert shlex.split(run)[:3] == ["siamesekit", "run", f"{tmp_path}/{name}/{CONFIG}"]
    done = subprocess.run(
        ["bash", "-c", f"siamesekit() {{ printf '%s' \"$2\"; }}; {check}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout == f"{tmp_path}/{name}/{CONFIG}"
    assert not (tmp_path / "pwned").exists()


def test_a_gitignore_that_is_there_stays(tmp_path: Path) -> None:
    draw(tmp_path / "photos", even(4, 2))
    (tmp_path / IGNORE).write_text("mine")
    project = make_project(tmp_path)
    assert (tmp_path / IGNORE).read_text() == "mine"
    assert [file.name for file in project.files] == [CONFIG, SCHEMA]
    assert (
        project.found[-1] == f"{tmp_path / IGNORE} exists and is not changed: you may want to add the line runs/ to it"
    )


@pytest.mark.parametrize("name", [CONFIG, SCHEMA])
def test_nothing_that_is_there_is_overwritten(tmp_path: Path, name: str) -> None:
    draw(tmp_path / "photos", even(4, 2))
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=f"{name} already exists, and nothing is overwritten"):
        make_project(tmp_path)
    assert (tmp_path / name).read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "photos"])


def test_a_project_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="is a file, but a project is a folder"):
        make_project(tmp_path / "file")


@pytest.mark.parametrize("failing", [SCHEMA, IGNORE])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=repr)
def test_where_a_file_cannot_be_written_none_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    photos = draw(tmp_path / "photos", even(4, 2))
    real = projects.write_atomic

    def full(path: Path, text: str) -> None:
        if path.name == failing:
            raise error
        real(path, text)

    monkeypatch.setattr(projects, "write_atomic", full)
    expected = OutputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        make_project(tmp_path / "new" / "project", photos)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_table_without_the_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text("picture,animal\na.png,ann\n")
    with pytest.raises(DataError, match=r"it cannot be told which columns .*its columns: picture, animal"):
        make_project(tmp_path / "new", tmp_path / "photos.csv")
    with pytest.raises(DataError, match=r"there is no file .*gone\.csv"):
        make_project(tmp_path / "new", tmp_path / "gone.csv")


@pytest.mark.slow
def test_a_new_project_can_be_planned(tmp_path: Path) -> None:
    draw(tmp_path / "photos", even(6, 4), (70, 64))
    make_project(tmp_path)
    plan = check(load_config(tmp_path / CONFIG), "cpu", "fp32")
    assert plan.individuals == {"train": 3, "test": 3}
    assert plan.photos == {"train": 12, "test": 12}
    assert plan.stand_ins == ()
    assert 0 < plan.trainable < plan.parameters
    assert "cached" in plan.frozen_part


def test_paths_are_relative_and_the_project_can_be_moved(tmp_path: Path) -> None:
    draw(tmp_path / "old" / "photos", even(4, 2))
    make_project(tmp_path / "old" / "seals", tmp_path / "old" / "photos")
    text = (tmp_path / "old" / "seals" / CONFIG).read_text()
    assert 'root = "../photos"             # relative to this file\n' in text
    assert str(tmp_path) not in text
    (tmp_path / "old").rename(tmp_path / "new")
    config = load_config(tmp_path / "new" / "seals" / CONFIG)
    assert config.data.options["root"] == (tmp_path / "new" / "photos").resolve()


def test_the_commands_name_the_folder_that_the_run_makes(tmp_path: Path) -> None:
    draw(tmp_path / "photos", even(4, 2))
    project = make_project(tmp_path / "seals", tmp_path / "photos")
    config = load_config(tmp_path / "seals" / CONFIG)
    assert project.run == Path("runs") / config.name == Path("runs/seals")
    assert "--out" not in project.commands[1]
    assert [shlex.split(command)[:3] for command in project.later] == [
        ["siamesekit", "compare", "runs/seals"],
        ["siamesekit", "embed", "runs/seals"],
    ]


def test_a_file_that_comes_meanwhile_is_not_replaced_and_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = draw(tmp_path / "photos", even(4, 2))
    project = tmp_path / "project"
    project.mkdir()
    real = projects.write_atomic

    def write(path: Path, text: str) -> None:
        real(path, text)
        (project / SCHEMA).write_text("mine")

    monkeypatch.setattr(projects, "write_atomic", write)
    with pytest.raises(OutputError, match="cannot be written to: File exists"):
        make_project(project, photos)
    assert [path.name for path in project.iterdir()] == [SCHEMA], "what this call wrote is gone again"
    assert (project / SCHEMA).read_text() == "mine"


def test_a_link_in_a_circle_is_no_project_s_folder(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match="cannot be the folder of a project: its links lead in a circle"):
        make_project(tmp_path / "loop", draw(tmp_path / "photos", even(4, 2)))
