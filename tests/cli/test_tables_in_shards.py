"""Tables in shards on the command line: `init`, `check`, `embed` and `evaluate`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from typer.testing import CliRunner

from siamesekit import load
from siamesekit.cli.app import app
from siamesekit.config.project.survey import survey
from siamesekit.config.reader_choice import reader_of_table

pytestmark = pytest.mark.usefixtures("no_traces")


def call(*arguments: object) -> Result:
    """A command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def document(result: Result) -> Any:
    """The JSON of a command that went well."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def shards(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three Parquet shards that name the project's photos, in a folder of their own."""
    folder = tmp_path_factory.mktemp("tables")
    files = sorted((project / "photos").rglob("*.png"))
    for number in range(3):
        own = files[number::3]
        columns = {
            "photo": [file.relative_to(project / "photos").as_posix() for file in own],
            "individual": [file.parent.name for file in own],
        }
        pq.write_table(pa.table(columns), folder / f"part-{number:04}.parquet")
    return folder


@pytest.mark.parametrize("pattern", ["", "part-*.parquet"])
def test_init_finds_the_shards(shards: Path, project: Path, pattern: str) -> None:
    found = survey(shards / pattern, overrides=[f"data.root={project / 'photos'}"])
    assert (found.reader, found.option, found.place) == ("parquet", "file", shards / pattern)
    assert found.counts == {f"striped_{number}": 4 for number in range(8)}


def test_two_tables_that_are_no_shards_are_not_read_as_one(tmp_path: Path) -> None:
    for name in ("train.csv", "test.csv", "part-1.csv"):
        (tmp_path / name).write_text("photo,individual\n")
    assert reader_of_table(tmp_path) is None
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).unlink()
    assert reader_of_table(tmp_path) is None
    (tmp_path / "part-2.csv").write_text("")
    assert reader_of_table(tmp_path) == "csv"


def config_of(table: Path, project: Path, folder: Path) -> Path:
    """The project's config with a table in place of its folder."""
    config = (project / "config.toml").read_text().replace('reader = "folder"', 'reader = "parquet"')
    root = f'file = "{table}"\nroot = "{project / "photos"}"'
    (folder / "config.toml").write_text(config.replace('root = "photos"', root))
    return folder / "config.toml"


@pytest.mark.parametrize("pattern", ["", "part-*.parquet"])
def test_embed_gives_a_row_for_each_photo_of_the_shards(
    telling: Path, shards: Path, project: Path, tmp_path: Path, pattern: str
) -> None:
    out, root = tmp_path / "e.npz", f"data.root={project / 'photos'}"
    told = document(call("embed", telling, shards / pattern, "--set", root, "-o", out, "--device", "cpu", "--json"))
    assert told["photos"] == 32
    files = sorted((project / "photos").rglob("*.png"))
    ordered = [file for number in range(3) for file in files[number::3]]
    with np.load(out) as found:
        assert found["path"].tolist() == [file.as_posix() for file in ordered]
        assert found["individual"].tolist() == [file.parent.name for file in ordered]
        np.testing.assert_allclose(found["embedding"], load(telling, device="cpu").embed(ordered), atol=1e-6)


def test_embed_of_a_table_without_individuals_and_with_boxes(telling: Path, project: Path, tmp_path: Path) -> None:
    photo = "striped_0/0.png"
    (tmp_path / "t.csv").write_text(f"photo,box\n{photo},0 0 16 16\n{photo},4 4 20 20\n")
    options = ["--set", f"data.root={project / 'photos'}", "--set", "data.box=box"]
    document(call("embed", telling, tmp_path / "t.csv", *options, "-o", tmp_path / "e.npz", "--json"))
    with np.load(tmp_path / "e.npz") as found:
        assert found["path"].tolist() == [(project / "photos" / photo).as_posix()] * 2
        assert found["individual"].tolist() == ["", ""]
        assert np.abs(found["embedding"][0] - found["embedding"][1]).max() > 1e-4


def test_what_does_not_go_together_is_refused(telling: Path, shards: Path, project: Path, tmp_path: Path) -> None:
    out = ["-o", tmp_path / "e.npz"]
    for arguments, message in [
        ([shards, project / "photos"], "is a table of photos, and must be the only input"),
        ([shards, "--pattern", "{individual}_*"], "--pattern is for folders of photos"),
        ([project / "photos", "--set", "data.photo=x"], "--set is for a table of photos"),
    ]:
        result = call("embed", telling, *arguments, *out)
        assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_a_shard_with_other_columns_is_named_by_check(shards: Path, project: Path, tmp_path: Path) -> None:
    copies = Path(shutil.copytree(shards, tmp_path / "shards"))
    pq.write_table(pa.table({"photo": ["x.png"], "seal": ["a"]}), copies / "part-0002.parquet")
    result = call("check", config_of(copies, project, tmp_path))
    assert result.exit_code == 2
    assert "part-0002.parquet has other columns than part-0000.parquet: it lacks individual" in result.stderr


def test_evaluate_takes_a_pattern(telling: Path, shards: Path, project: Path) -> None:
    data = ["--data", shards / "part-*.parquet", "--set", f"data.root={project / 'photos'}"]
    assert document(call("evaluate", telling, *data, "--device", "cpu", "--json"))["photos"] == 32
    result = call("evaluate", telling, "--data", shards / "none-*.parquet")
    assert (result.exit_code, "no file fits" in result.stderr) == (2, True), result.stderr
