"""A run's folder: what is refused, what overwriting keeps, and its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from siamesekit.errors import ArtifactError, OutputError
from siamesekit.run_folder import CONFIG, METRICS, RunFolder


def make_run(path: Path, mark: str) -> Path:
    """A folder that holds a run, with a mark to know it by."""
    path.mkdir(parents=True)
    (path / CONFIG).write_text(f'name = "{mark}"\n')
    return path


def mark(path: Path) -> str:
    """The mark of the run in a folder."""
    return str(RunFolder(path).read_config()["name"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the run goes."""
    return tmp_path / "runs" / "r"


def test_a_new_folder_is_made_with_its_parents(path: Path) -> None:
    folder = RunFolder(path)
    folder.check(resume=False, overwrite=False)
    assert not path.parent.exists()
    folder.claim(resume=False, overwrite=False)
    assert path.is_dir()
    assert folder.replaced is None


def test_an_empty_folder_is_taken(path: Path) -> None:
    path.mkdir(parents=True)
    RunFolder(path).claim(resume=False, overwrite=True)
    assert list(path.parent.iterdir()) == [path]


def test_what_is_there_is_neither_replaced_nor_gone_on_with_unasked(path: Path) -> None:
    make_run(path, "old")
    with pytest.raises(OutputError, match="exists: --resume goes on with it, --overwrite replaces it, --out DIR"):
        RunFolder(path).claim(resume=False, overwrite=False)
    assert mark(path) == "old"


@pytest.mark.parametrize("there", [False, True])
def test_there_must_be_a_run_to_resume(path: Path, there: bool) -> None:
    if there:
        path.mkdir(parents=True)
    with pytest.raises(OutputError, match=r"--resume: there is no run in .*; leave --resume out to start one"):
        RunFolder(path).claim(resume=True, overwrite=False)
    assert path.exists() == there


def test_resuming_changes_nothing(path: Path) -> None:
    make_run(path, "old")
    folder = RunFolder(path)
    folder.claim(resume=True, overwrite=False)
    assert (mark(path), folder.replaced) == ("old", None)


def test_resume_and_overwrite_exclude_each_other(path: Path) -> None:
    make_run(path, "old")
    with pytest.raises(OutputError, match="give one of them"):
        RunFolder(path).claim(resume=True, overwrite=True)
    assert mark(path) == "old"


def test_what_is_no_run_is_never_overwritten(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"is not a run's folder \(no config.toml in it\): it is not overwritten"):
        RunFolder(path).claim(resume=False, overwrite=True)
    assert (path / "thesis.tex").read_text() == "years of work"


def test_a_file_is_never_overwritten(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=f"{path} "):
            RunFolder(path).claim(resume=False, overwrite=overwrite)
    assert path.read_text() == "precious"


def test_an_overwritten_run_waits_until_the_new_one_is_complete(path: Path) -> None:
    make_run(path, "old")
    folder = RunFolder(path)
    folder.claim(resume=False, overwrite=True)
    assert folder.replaced == path.parent / ".r.replaced"
    assert (list(path.iterdir()), mark(folder.replaced)) == ([], "old")
    folder.complete()
    assert list(path.parent.iterdir()) == [path]
    assert folder.replaced is None


def test_the_run_aside_outlives_overwriting_runs_that_fail(path: Path) -> None:
    make_run(path, "old")
    for attempt in ("first", "second"):
        RunFolder(path).claim(resume=False, overwrite=True)
        RunFolder(path).write_config(f'name = "{attempt}"\n', {})
    assert mark(path.parent / ".r.replaced") == "old"
    folder = RunFolder(path)
    folder.claim(resume=True, overwrite=False)
    assert mark(path) == "second"
    folder.complete()
    assert list(path.parent.iterdir()) == [path]


def test_a_whole_run_is_never_removed_before_another_is(path: Path) -> None:
    """Also where an overwriting run has failed, its ruins are gone, and a run has been made in their place."""
    make_run(path.parent / ".r.replaced", "oldest")
    make_run(path, "whole")
    RunFolder(path).write_manifest({"complete": True})
    folder = RunFolder(path)
    folder.claim(resume=False, overwrite=True)
    assert mark(path.parent / ".r.replaced") == "whole"
    RunFolder(path).write_config('name = "new"\n', {})
    folder.complete()
    assert (mark(path), list(path.parent.iterdir())) == ("new", [path])


def test_a_run_of_which_the_end_cannot_be_told_is_kept(path: Path) -> None:
    make_run(path.parent / ".r.replaced", "oldest")
    make_run(path, "damaged")
    (path / "manifest.json").write_text("{")
    RunFolder(path).claim(resume=False, overwrite=True)
    assert mark(path.parent / ".r.replaced") == "damaged"


def test_a_config_nested_too_deep_is_damaged(path: Path) -> None:
    make_run(path, "r")
    (path / "config.toml").write_text("a = " + "[" * 20_000)
    with pytest.raises(ArtifactError, match=r"config\.toml cannot be read"):
        RunFolder(path).read_config()


def test_a_stranger_where_the_overwritten_run_would_wait_is_left_alone(path: Path) -> None:
    make_run(path, "old")
    stranger = path.parent / ".r.replaced"
    stranger.mkdir()
    (stranger / "notes").write_text("mine")
    for resume in (False, True):
        with pytest.raises(OutputError, match="is in the way"):
            RunFolder(path).claim(resume=resume, overwrite=not resume)
    assert ((stranger / "notes").read_text(), mark(path)) == ("mine", "old")


def test_completing_without_overwriting_removes_nothing(path: Path) -> None:
    make_run(path.parent / ".r.replaced", "old")
    folder = RunFolder(path)
    folder.claim(resume=False, overwrite=False)
    folder.complete()
    assert mark(path.parent / ".r.replaced") == "old"


def test_the_current_directory_can_be_a_run_s_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(path, "old")
    monkeypatch.chdir(path)
    with pytest.raises(OutputError, match="exists"):
        RunFolder(Path()).claim(resume=False, overwrite=False)
    folder = RunFolder(Path())
    folder.claim(resume=True, overwrite=False)
    assert folder.read_config() == {"name": "old"}


def test_a_folder_that_cannot_be_made_is_an_error_of_the_user_s(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made: Not a directory; choose another --out"):
        RunFolder(tmp_path / "file" / "r").claim(resume=False, overwrite=False)


def test_config_and_plugins_are_written_and_read(path: Path) -> None:
    folder = RunFolder(make_run(path, "old"))
    folder.write_config("seed = 3\n[data]\nroot = 'ä'\n", {"plugins/p.py": b"x = 1\r\n"})
    assert folder.read_config() == {"seed": 3, "data": {"root": "ä"}}
    assert (path / "plugins" / "p.py").read_bytes() == b"x = 1\r\n"


@pytest.mark.parametrize("content", [None, b"[", b"\xff"])
def test_a_config_that_cannot_be_read_is_named(path: Path, content: bytes | None) -> None:
    path.mkdir(parents=True)
    if content is not None:
        (path / CONFIG).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{path / CONFIG} cannot be read"):
        RunFolder(path).read_config()


def test_metrics_are_a_json_line_an_epoch(path: Path) -> None:
    folder = RunFolder(make_run(path, "r"))
    assert folder.read_metrics() == []
    lines = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-300}]
    folder.write_metrics(lines[:1])
    folder.write_metrics(lines)
    assert [json.loads(line) for line in (path / METRICS).read_text().splitlines()] == lines
    assert folder.read_metrics() == lines


def test_manifest_and_evaluation_are_json(path: Path) -> None:
    folder = RunFolder(make_run(path, "r"))
    folder.write_manifest({"complete": True})
    folder.write_evaluation({"photos": 3})
    assert json.loads((path / "manifest.json").read_text()) == {"complete": True}
    assert json.loads((path / "evaluation.json").read_text()) == {"photos": 3}
    assert (folder.checkpoints, folder.model) == (path / "checkpoints", path / "model")
