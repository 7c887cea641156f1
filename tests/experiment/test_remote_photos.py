"""A run whose photos are on another machine, from check to embed, beside the same run with photos on this one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from conftest import StopAt, content, outcome, run_fp32
from siamesekit.cli.app import app
from siamesekit.config import load_config
from siamesekit.experiment.run_result import RunResult
from siamesekit.experiment.stopping import Stopped

pytestmark = pytest.mark.usefixtures("no_traces", "plain_charts")
ROOT = "memory://run-test/photos"


def call(*arguments: object) -> Result:
    """A command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def remote(project: Path) -> Iterator[None]:
    """The project's photos on the other machine."""
    memory = fsspec.filesystem("memory")
    for photo in (project / "photos").rglob("*.png"):
        memory.pipe(f"/run-test/photos/{photo.relative_to(project / 'photos').as_posix()}", photo.read_bytes())
    yield
    memory.rm("/run-test", recursive=True)


def configured(folder: Path, project: Path, reader: str, **options: str) -> Path:
    """The project's config with another reader, in a folder of its own."""
    lines = [f'reader = "{reader}"', *(f"{key} = {json.dumps(value)}" for key, value in options.items())]
    config = (project / "config.toml").read_text().replace('reader = "folder"\nroot = "photos"', "\n".join(lines))
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(config)
    return folder / "config.toml"


def table(folder: Path, project: Path, root: str = "") -> Path:
    """The project's photos as a table."""
    names = [photo.relative_to(project / "photos").as_posix() for photo in sorted((project / "photos").rglob("*.png"))]
    lines = ["photo,individual", *(f"{root}{name},{name.partition('/')[0]}" for name in names)]
    (folder / "photos.csv").write_text("\n".join(lines) + "\n")
    return folder / "photos.csv"


@pytest.mark.slow
@pytest.mark.usefixtures("remote")
def test_check_run_resume_evaluate_and_embed_equal_those_of_local_photos(
    finished: RunResult, project: Path, tmp_path: Path
) -> None:
    remote = configured(tmp_path / "remote", project, "csv", file=str(table(tmp_path, project, f"{ROOT}/")), root=ROOT)
    checked = call("check", remote)
    assert checked.exit_code == 0, checked.output
    with pytest.raises(Stopped):
        run_fp32(load_config(remote), tmp_path / "there", stop=StopAt(2))
    run_fp32(load_config(remote), tmp_path / "there", resume=True)
    assert outcome(tmp_path / "there")[:2] == outcome(finished.folder)[:2]
    data = ["--data", table(tmp_path, project), "--set", f"data.root={ROOT}"]
    result = call("evaluate", tmp_path / "there", *data, "--json", "--device", "cpu")
    assert result.exit_code == 0, result.output
    for name, photos in (("here", project / "photos"), ("there", ROOT)):
        told = call("embed", finished.folder, photos, "-o", tmp_path / f"{name}.npz", "--device", "cpu")
        assert told.exit_code == 0, told.output
    with np.load(tmp_path / "here.npz") as own, np.load(tmp_path / "there.npz") as other:
        np.testing.assert_array_equal(own["embedding"], other["embedding"])
        assert own["individual"].tolist() == other["individual"].tolist()
        assert [f"{ROOT}/{Path(path).relative_to(project / 'photos').as_posix()}" for path in own["path"]] == other[
            "path"
        ].tolist()
    assert f'root = "{ROOT}"' in (tmp_path / "there" / "config.toml").read_text()


STRANGE = [
    "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data",
    "s3://bucket/1.jpg",
    "https://u:secret@h/1.jpg",
]


@pytest.mark.parametrize("root", ["", ROOT])
def test_a_strangers_table_fetches_nothing_that_the_user_did_not_name(
    project: Path, tmp_path: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr("siamesekit.data.remote.servers.filesystem", never)
    (tmp_path / "t.csv").write_text("\n".join(["photo,individual", *(f"{row},a" for row in STRANGE), ""]))
    options = {"file": str(tmp_path / "t.csv"), **({"root": root} if root else {})}
    result = call("check", configured(tmp_path / "project", project, "csv", **options))
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert "secret" not in result.output
    assert f"{len(STRANGE)} problems in {tmp_path / 't.csv'}" in result.stderr
    reason = "nothing else is fetched" if root else "no root there was given"
    assert result.stderr.count(reason) + result.stderr.count("is outside") >= len(STRANGE) - 1


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("https://me:secret@host/photos", "has a user or password"),
        ("https://host/photos?key=secret", "has a query"),
        ("ftp://host/photos", "photos are read from s3://"),
    ],
)
def test_a_root_that_cannot_be_used_is_told_without_its_secrets(
    project: Path, tmp_path: Path, root: str, message: str
) -> None:
    result = call("check", configured(tmp_path / "project", project, "folder", root=root))
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr
    assert "data.root" in result.stderr
    result = call("embed", "--encoder", "timm/test_resnet", root, "-o", tmp_path / "e.npz")
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr
    assert "secret" not in result.output


def test_only_readers_that_read_elsewhere_take_an_address(project: Path, tmp_path: Path) -> None:
    result = call("check", configured(tmp_path / "project", project, "csv", file="s3://bucket/photos.csv"))
    assert (result.exit_code, "data.file" in result.stderr) == (2, True)
    assert "must be a path of this machine" in result.stderr


@pytest.mark.usefixtures("remote")
def test_a_missing_photo_elsewhere_is_named_and_can_be_left_out(telling: Path, project: Path, tmp_path: Path) -> None:
    file = table(tmp_path, project)
    file.write_text(file.read_text() + "gone/1.jpg,gone\n")
    command = ["embed", telling, file, "--set", f"data.root={ROOT}", "-o", tmp_path / "e.csv", "--device", "cpu"]
    result = call(*command)
    assert result.exit_code == 2
    assert "gone/1.jpg: does not exist on memory://run-test" in result.stderr
    assert not (tmp_path / "e.csv").exists()
    assert call(*command, "--skip-bad").exit_code == 0
    assert len((tmp_path / "e.csv").read_text().splitlines()) == 33
    assert content(tmp_path)["e.csv.left-out.csv"].decode().splitlines()[1].startswith('"gone/1.jpg","does not exist')


def test_commands_that_read_files_only_say_so(telling: Path, tmp_path: Path) -> None:
    for command in (
        ["init", tmp_path / "new", "--photos", "s3://bucket/seals"],
        ["evaluate", telling, "--data", "s3://bucket/seals"],
        ["enrol", telling, "https://u:secret@host/seals", "-o", tmp_path / "catalogue"],
    ):
        result = call(*command)
        assert (result.exit_code, "is on another machine, which this does not read" in result.stderr) == (2, True)
        assert "secret" not in result.output


@pytest.mark.slow
@pytest.mark.usefixtures("remote")
def test_init_writes_the_address_into_the_config(project: Path, tmp_path: Path) -> None:
    named = ["--photos", table(tmp_path, project), "--encoder", "timm/test_resnet", "--set", f"data.root={ROOT}"]
    result = call("init", tmp_path / "new", *named)
    assert result.exit_code == 0, result.output
    assert "32 photos of 8 individuals" in result.stdout
    assert str(load_config(tmp_path / "new" / "config.toml").data.options["root"]) == ROOT
    result = call("init", tmp_path / "other", *named[:-1], "data.root=https://u:secret@host/p")
    assert (result.exit_code, "has a user or password" in result.stderr) == (2, True)
    assert "secret" not in result.output
