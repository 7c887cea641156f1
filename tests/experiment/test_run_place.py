"""Where a run's folder may not be: at or above what is the user's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from test_run_folder import make_run, tree

from conftest import write_photos
from siamesekit.config import load_config
from siamesekit.errors import OutputError
from siamesekit.experiment.run_place import refuse_above
from siamesekit.experiment.running import run

pytestmark = pytest.mark.usefixtures("plain_charts")

CONFIG = """\
[data]
reader = "folder"
root = "photos"
size = 32
[encoder]
name = "timm/test_resnet"
weights = "random"
"""


@pytest.fixture
def seals(tmp_path: Path) -> Path:
    """A folder with photos and, beside them, the config that `init` would write."""
    write_photos(tmp_path / "seals" / "photos", ["a", "b"], 2)
    (tmp_path / "seals" / "config.toml").write_text(CONFIG)
    return tmp_path / "seals"


@pytest.mark.parametrize("marked", [False, True], ids=["no run", "a run"])
@pytest.mark.parametrize(("resume", "overwrite"), [(False, False), (False, True), (True, False)])
@pytest.mark.parametrize("out", ["seals", "seals/photos", "seals/photos/..", ".", "link"])
def test_a_folder_that_holds_the_config_or_the_photos_is_refused_and_stays(
    seals: Path, out: str, resume: bool, overwrite: bool, marked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if marked:  # even where a run's own files were copied into it
        make_run(seals.parent / "copy", "old", complete=True)
        (seals.parent / "copy" / "manifest.json").rename(
            (seals.parent / out.replace("link", "seals")) / "manifest.json"
        )
        shutil.rmtree(seals.parent / "copy")
    (seals.parent / "link").symlink_to(seals)
    before = tree(seals.parent)
    monkeypatch.chdir(seals.parent)
    with pytest.raises(
        OutputError, match=r"holds the (config|data) .*a run needs a folder of its own: --out runs/"
    ) as e:
        run(load_config(seals / "config.toml"), Path(out), resume, overwrite, device="cpu", precision="fp32")
    assert "--overwrite" not in str(e.value)
    assert tree(seals.parent) == before


def test_folders_inside_the_photos_folder_s_parent_are_allowed(seals: Path) -> None:
    refuse_above(seals / "runs" / "x", [("the config", seals), ("the data", seals / "photos")], "x")
    refuse_above(seals / "photos" / "x", [("the config", seals), ("the data", seals / "photos")], "x")


@pytest.mark.parametrize("key", ["data.stand_in", "encoder.weights", "csv", "csv root"])
def test_everything_that_a_config_reads_is_kept_out(seals: Path, key: str) -> None:
    elsewhere = seals.parent / "elsewhere" / "deep"
    elsewhere.mkdir(parents=True)
    overrides = {
        "data.stand_in": ["data.stand_in.reader=folder", f"data.stand_in.root={elsewhere}"],
        "encoder.weights": [f"encoder.weights={elsewhere / 'w.safetensors'}"],
        "csv": ["data.reader=csv", f"data.file={elsewhere / 't.csv'}"],
        "csv root": ["data.reader=csv", f"data.file={seals / 't.csv'}", f"data.root={elsewhere}"],
    }[key]
    if key.startswith("csv"):
        text = CONFIG.replace('"folder"', '"csv"').replace('root = "photos"', "file = 't.csv'")
        (seals / "config.toml").write_text(text)
        overrides = overrides[1:]
    config = load_config(seals / "config.toml", overrides)
    with pytest.raises(OutputError, match=r"holds the (data|weights)"):
        run(config, elsewhere.parent, device="cpu", precision="fp32")


def test_home_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "people" / "me"))
    for place in ("people/me", "people"):
        with pytest.raises(OutputError, match="holds your home folder"):
            refuse_above(tmp_path / place, [], "x")
    refuse_above(tmp_path / "people" / "me" / "runs", [], "x")
    for other in ("/home/somebody", "/home", "/"):
        with pytest.raises(OutputError, match="home folder"):
            refuse_above(Path(other), [], "x")


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_repositories_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    repository = tmp_path / "above" / "repository"
    (repository / "sub").mkdir(parents=True)
    if kind == "folder":
        (repository / ".git").mkdir()
    else:
        (repository / ".git").write_text("gitdir: elsewhere")
    with pytest.raises(OutputError, match="is a repository"):
        refuse_above(repository, [], "x")
    refuse_above(tmp_path / "above", [], "x")
    monkeypatch.chdir(repository / "sub")
    with pytest.raises(OutputError, match="holds the repository"):
        refuse_above(tmp_path / "above", [], "x")
    refuse_above(Path("runs/x"), [], "x")


@pytest.mark.slow
def test_a_run_goes_on_by_the_config_in_its_own_folder(small_config: Callable[..., object], tmp_path: Path) -> None:
    run(small_config("train.epochs=1"), tmp_path / "r", device="cpu", precision="fp32")  # type: ignore[arg-type]
    own = load_config(tmp_path / "r" / "config.toml", ["train.epochs=2"])
    before = tree(tmp_path / "r")
    with pytest.raises(OutputError, match="holds the config"):
        run(own, tmp_path / "r", overwrite=True, device="cpu", precision="fp32")
    assert tree(tmp_path / "r") == before
    run(own, tmp_path / "r", resume=True, device="cpu", precision="fp32")
