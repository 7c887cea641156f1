"""A run's folder: what is refused, what overwriting keeps, and its files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers import Crash
from siamesekit.errors import ArtifactError, OutputError
from siamesekit.experiment.replaced_run import FORMAT
from siamesekit.experiment.run_folder import RunFolder
from siamesekit.files import atomic as files
from siamesekit.files.run_files import CHECKPOINT_FORMS, CONFIG, MANIFEST, METRICS_FILE, MODEL_FILES, REPORT

LISTED = [CONFIG, METRICS_FILE, REPORT, *MODEL_FILES, *CHECKPOINT_FORMS]
"""What a run's manifest lists; there are no others in these tests, unless one says so."""


def make_run(path: Path, mark: str, complete: bool = False, **manifest: Any) -> Path:
    """A folder that holds a run, with a mark to know it by."""
    path.mkdir(parents=True)
    told = {"format": FORMAT, "complete": complete, "files": LISTED, **manifest}
    (path / MANIFEST).write_text(json.dumps(told))
    (path / CONFIG).write_text(f'name = "{mark}"\n')
    return path


def write_run(folder: RunFolder, mark: str, complete: bool = False) -> None:
    """What a run writes into the folder that it has claimed."""
    folder.write_manifest({"complete": False}, LISTED)
    folder.write_config(f'name = "{mark}"\n', {})
    if complete:
        folder.write_manifest({"complete": True})


def tree(folder: Path) -> dict[str, bytes | str]:
    """All files below a folder with their content, links with their targets."""
    return {
        path.relative_to(folder).as_posix(): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


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
    with pytest.raises(OutputError, match="exists: --resume continues it, --overwrite replaces it, --out DIR"):
        RunFolder(path).claim(resume=False, overwrite=False)
    assert mark(path) == "old"


@pytest.mark.parametrize("there", [False, True])
def test_there_must_be_a_run_to_resume(path: Path, there: bool) -> None:
    if there:
        path.mkdir(parents=True)
    with pytest.raises(OutputError, match=r"--resume: there is no run in .*; leave out --resume to start one"):
        RunFolder(path).claim(resume=True, overwrite=False)
    assert path.exists() == there


def test_resuming_changes_nothing(path: Path) -> None:
    make_run(path, "old")
    folder = RunFolder(path)
    folder.claim(resume=True, overwrite=False)
    assert (mark(path), folder.replaced) == ("old", None)


def test_resume_and_overwrite_exclude_each_other(path: Path) -> None:
    make_run(path, "old")
    with pytest.raises(OutputError, match="give only one of them"):
        RunFolder(path).claim(resume=True, overwrite=True)
    assert mark(path) == "old"


@pytest.mark.parametrize(("resume", "overwrite"), [(False, False), (False, True), (True, False)])
@pytest.mark.parametrize("name", ["thesis.tex", CONFIG, MANIFEST, "model/model.json"])
def test_what_is_no_run_is_neither_overwritten_nor_resumed(
    path: Path, name: str, resume: bool, overwrite: bool
) -> None:
    (path / name).parent.mkdir(parents=True)
    (path / name).write_text("years of work")
    before = tree(path)
    with pytest.raises(OutputError, match=r"is not a run's folder.*choose another --out") as raised:
        RunFolder(path).claim(resume=resume, overwrite=overwrite)
    assert "--resume" not in str(raised.value) and "--overwrite" not in str(raised.value)
    assert tree(path) == before


@pytest.mark.parametrize(("resume", "overwrite"), [(False, False), (False, True), (True, False)])
@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ({"complete": True, "versions": {"siamesekit": "0.1"}}, "holds a run of an earlier version of siamesekit"),
        ({"format": "siamesekit run 2", "versions": {}}, r"run of another version of siamesekit \(siamesekit run 2\)"),
    ],
)
def test_a_run_of_another_version_stays_as_it_is(
    path: Path, manifest: dict[str, Any], says: str, resume: bool, overwrite: bool
) -> None:
    path.mkdir(parents=True)
    (path / CONFIG).write_text("")
    (path / MANIFEST).write_text(json.dumps(manifest))
    before = tree(path)
    with pytest.raises(OutputError, match=f"{says}.*can neither be resumed nor overwritten: choose another --out"):
        RunFolder(path).claim(resume=resume, overwrite=overwrite)
    assert tree(path) == before


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
        write_run(RunFolder(path), attempt)
    assert mark(path.parent / ".r.replaced") == "old"
    folder = RunFolder(path)
    folder.claim(resume=True, overwrite=False)
    assert mark(path) == "second"
    folder.complete()
    assert list(path.parent.iterdir()) == [path]


def test_a_whole_run_is_never_removed_before_another_is(path: Path) -> None:
    """Also where an overwriting run has failed, its ruins are gone, and a run has been made in their place."""
    make_run(path.parent / ".r.replaced", "oldest")
    make_run(path, "whole", complete=True)
    folder = RunFolder(path)
    folder.claim(resume=False, overwrite=True)
    assert mark(path.parent / ".r.replaced") == "whole"
    write_run(folder, "new")
    folder.complete()
    assert (mark(path), list(path.parent.iterdir())) == ("new", [path])


def test_a_run_whose_manifest_is_damaged_is_neither_overwritten_nor_removed(path: Path) -> None:
    make_run(path.parent / ".r.replaced", "oldest")
    make_run(path, "damaged")
    (path / MANIFEST).write_text("{")
    before = tree(path.parent)
    with pytest.raises(OutputError, match=r"is not a run's folder, and its manifest.json cannot be read"):
        RunFolder(path).claim(resume=False, overwrite=True)
    assert tree(path.parent) == before


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
    assert [json.loads(line) for line in (path / METRICS_FILE).read_text().splitlines()] == lines
    assert folder.read_metrics() == lines


def test_manifest_and_evaluation_are_json(path: Path) -> None:
    folder = RunFolder(make_run(path, "r"))
    written = folder.write_manifest({"complete": True}, ["evaluation.json"])
    folder.write_evaluation({"photos": 3})
    expected = {"format": FORMAT, "complete": True, "files": ["evaluation.json"]}
    assert json.loads((path / MANIFEST).read_text()) == written == expected
    assert json.loads((path / "evaluation.json").read_text()) == {"photos": 3}
    assert (folder.checkpoints, folder.model) == (path / "checkpoints", path / "model")


USERS = {
    "notes.txt": "mine",
    "photos/a/1.jpg": "a photo",
    "model/mine.txt": "mine",
    "model/model.safetensors.bak": "mine",
    "checkpoints/000001.safetensors.copy": "mine",
    "checkpoints/best-of-all.safetensors": "mine",
    "checkpoints/12.json": "mine",
    "plugins/unlisted.py": "mine",
    ".hidden": "mine",
    "old.pkl": "mine",
}
"""Files of the user's in a run's folder, many of them called nearly as a run's."""
OWN = {
    "metrics.jsonl": b"{}\n",
    "report.html": b"<html>",
    "model/model.safetensors": b"weights",
    "model/model.json": b"{}",
    "checkpoints/000001.safetensors": b"1",
    "checkpoints/000001.json": b"{}",
    "checkpoints/1234567.json": b"{}",
    "checkpoints/best-0123456789abcdef.safetensors": b"best",
    "plugins/own.py": b"x = 1\n",
    "network.pkl": b"\x80\x04\x95\x00\x8c\x10siamesekit.model\x94\x8c\x0eSiameseNetwork\x94",
}


def make_full_run(path: Path, complete: bool = True) -> Path:
    """A run with every kind of file that a run may have."""
    plugin = hashlib.sha256(OWN["plugins/own.py"]).hexdigest()
    listed = [*LISTED, "plugins/own.py", "network.pkl"]
    make_run(path, "old", complete, files=listed, plugins={"own.py": plugin})
    for name, content in OWN.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(content)
    return path


def add_users_files(path: Path) -> dict[str, bytes | str]:
    """The user's files in a folder, and a link out of it; gives what they are."""
    for name, content in USERS.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content)
    (path / "link").symlink_to(path.parent)
    return {name: content.encode() for name, content in USERS.items()} | {"link": str(path.parent)}


def test_overwriting_moves_and_removes_the_run_s_own_files_and_no_other(path: Path) -> None:
    own = {*tree(make_full_run(path))}
    kept = add_users_files(path)
    folder = RunFolder(path)
    folder.claim(resume=False, overwrite=True)
    assert folder.replaced is not None
    assert {*tree(folder.replaced)} == own
    assert tree(path) == kept
    write_run(folder, "new", complete=True)
    folder.complete()
    assert [each.name for each in path.parent.iterdir()] == ["r"]
    assert tree(path) == kept | {name: (path / name).read_bytes() for name in (CONFIG, MANIFEST)}


def test_emptied_folders_of_the_run_go_and_others_stay(path: Path) -> None:
    make_full_run(path)
    (path / "empty").mkdir()
    RunFolder(path).claim(resume=False, overwrite=True)
    assert [each.name for each in path.iterdir()] == ["empty"]


@pytest.mark.parametrize(
    "name",
    [
        "../x", "/etc/x", "../../x", "photos/a/1.jpg", "notes.txt", "thesis.py", "model/../notes.txt", "./notes.txt",
        "plugins/mine.py", "plugins/../notes.txt", "checkpoints/mine.json", "checkpoints/../notes.txt", "model", "",
        ".", "..", "data.pkl", "link/x", "checkpoints//000001.json", "model/model.safetensors/", "a\0b", "a\\b", 3,
        None, ["x"], {"x": 1}, "CONFIG.toml", ".hidden", "x/model/model.json",
    ],
)  # fmt: skip
def test_a_forged_list_moves_no_file_of_the_user_s(path: Path, name: Any) -> None:
    make_run(path, "old", files=[CONFIG, name], plugins={"mine.py": "0" * 64})
    outside = path.parent.parent
    for place in (outside / "x", path.parent / "x"):
        place.write_text("outside")
    for mine in ("photos/a/1.jpg", "notes.txt", "thesis.py", "plugins/mine.py", "checkpoints/mine.json", ".hidden",
                 "data.pkl", "x/model/model.json"):  # fmt: skip
        (path / mine).parent.mkdir(parents=True, exist_ok=True)
        (path / mine).write_text("mine")
    (path / "link").symlink_to(outside)
    before = {key: value for key, value in tree(outside).items() if not key.endswith((CONFIG, MANIFEST))}
    folder = RunFolder(path)
    folder.claim(resume=False, overwrite=True)
    write_run(folder, "new", complete=True)
    folder.complete()
    after = {key: value for key, value in tree(outside).items() if not key.endswith((CONFIG, MANIFEST))}
    assert after == before


def test_no_link_is_followed_or_moved(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    make_full_run(elsewhere / "r2")
    kept = tree(elsewhere)
    make_run(path, "old")
    (path / "model").symlink_to(elsewhere / "r2" / "model")
    (path / "checkpoints").mkdir()
    (path / "checkpoints" / "000001.json").symlink_to(elsewhere / "r2" / "checkpoints" / "000001.json")
    with pytest.raises(OutputError, match=r"holds model, .*which the run in this folder did not write"):
        RunFolder(path).claim(resume=False, overwrite=True)
    (path / "model").unlink()
    RunFolder(path).claim(resume=False, overwrite=True)
    assert (path / "checkpoints" / "000001.json").is_symlink()
    assert tree(elsewhere) == kept


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ["report.html", "network.pkl", "plugins/own.py", "model"])
def test_a_file_of_the_user_s_where_the_run_would_write_is_refused_before_any_work(
    path: Path, name: str, resume: bool
) -> None:
    make_run(path, "old", files=[CONFIG])
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_text("mine")
    before = tree(path)
    with pytest.raises(OutputError, match=f"holds {name}, which the run in this folder did not write"):
        RunFolder(path).check(resume, not resume, ["network.pkl", "plugins/own.py"])
    assert tree(path) == before


def test_a_file_that_comes_while_the_run_goes_on_is_not_replaced(path: Path) -> None:
    folder = RunFolder(path)
    folder.claim(resume=False, overwrite=False)
    folder.write_manifest({"complete": False}, [CONFIG])
    (path / "report.html").write_text("mine")
    with pytest.raises(OutputError, match=r"holds report\.html, which this run did not write.*--resume"):
        folder.write_manifest({"complete": False}, ["report.html"])
    assert (path / "report.html").read_text() == "mine"


def test_a_plugin_s_copy_that_was_edited_is_the_user_s(path: Path) -> None:
    make_full_run(path)
    (path / "plugins" / "own.py").write_text("x = 2  # hours of work\n")
    with pytest.raises(OutputError, match=r"holds plugins/own\.py"):
        RunFolder(path).claim(False, True, ["plugins/own.py"])
    RunFolder(path).claim(False, True)
    assert (path / "plugins" / "own.py").read_text() == "x = 2  # hours of work\n"


CHANGES = ("rename", "replace", "unlink", "rmdir", "mkdir")


class Mortal:
    """Dies at the n-th change of the disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        for name in CHANGES:
            monkeypatch.setattr(Path, name, self._mortal(getattr(Path, name)))

    def _mortal(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any, **options: Any) -> Any:
            if self.left == 0:
                raise Crash
            self.left -= 1
            return real(*arguments, **options)

        return change


def whole(folder: Path, mark: str) -> bool:
    """Whether a run is there with all its files."""
    files = tree(folder)
    if mark == "old":
        expected = {*OWN, CONFIG, MANIFEST}
        return {*files} >= expected and all(files[name] == content for name, content in OWN.items())
    return {CONFIG, MANIFEST} <= {*files}


@pytest.mark.slow
@pytest.mark.parametrize("then", ["overwrite", "resume"])
def test_wherever_an_overwriting_run_dies_the_old_run_or_the_new_one_is_whole(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """The process dies at each change of the disk, and again at each change of what comes after."""
    mortal = Mortal(monkeypatch)
    monkeypatch.setattr(files, "flush", lambda path: None)  # a process dies here, not the machine

    def attempt(resume: bool, left: int) -> bool:
        mortal.left = left
        try:
            folder = RunFolder(path)
            folder.claim(resume=resume, overwrite=not resume)
            if mark_of(path) != "old":
                write_run(folder, "new", complete=True)
                folder.complete()
            return True
        except Crash:
            return False
        finally:
            mortal.left = -1

    def mark_of(place: Path) -> str:
        return mark(place) if (place / CONFIG).exists() else ""

    deaths = 0
    for first in range(1000):
        for second in (first % 23, 23 + first % 31, -1):
            shutil.rmtree(path.parent, ignore_errors=True)
            make_full_run(path)
            kept = add_users_files(path)
            if attempt(False, first):
                break
            deaths += 1
            if not attempt(then == "resume", second):
                deaths += 1
            places = [path, path.parent / ".r.replaced"]
            found = [mark_of(place) for place in places if place.exists()]
            if "new" not in found:  # the old one is there, in one place or the other or being moved
                both = {**tree(path), **(tree(places[1]) if places[1].exists() else {})}
                assert all(both[name] == content for name, content in OWN.items()), (first, second)
            assert attempt(then == "resume", -1)
            assert whole(path, mark_of(path)), (first, second)
            assert {name: tree(path)[name] for name in kept} == kept
            assert [each.name for each in path.parent.iterdir()] == ["r"], (first, second)
        else:
            continue
        break
    assert first > 20 and deaths > 100


@pytest.mark.parametrize("kind", ["file", "under a file"])
def test_a_file_in_the_place_of_the_folder_is_named_before_any_work(tmp_path: Path, kind: str) -> None:
    (tmp_path / "f").write_text("mine")
    place = tmp_path / "f" if kind == "file" else tmp_path / "f" / "deep" / "er"
    for resume, overwrite in [(False, False), (True, False), (False, True)]:
        with pytest.raises(OutputError, match=r"is a file.*|cannot be made: Not a directory; choose another --out"):
            RunFolder(place).check(resume, overwrite)


def test_links_in_a_circle_and_homes_of_nobody_are_said(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for place in (tmp_path / "loop", tmp_path / "loop" / "r"):
        with pytest.raises(OutputError, match="cannot be a run's folder: its links lead in a circle"):
            RunFolder(place)
    with pytest.raises(OutputError, match="names a home folder that does not exist"):
        RunFolder(Path("~nobody-of-that-name/r"))


def test_the_home_folder_may_be_written_as_in_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunFolder(Path("~/runs/r")).path == tmp_path / "runs" / "r"


@pytest.mark.parametrize("place", [".", "model"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_may_not_be_written_to_is_named_before_any_work(
    path: Path, monkeypatch: pytest.MonkeyPatch, place: str, overwrite: bool
) -> None:
    make_full_run(path)
    shut = path / place
    real = os.access
    monkeypatch.setattr(os, "access", lambda given, mode: Path(given) != shut and real(given, mode))
    with pytest.raises(OutputError, match=f"{shut} cannot be written to: make it writable, or choose another --out"):
        RunFolder(path).check(not overwrite, overwrite)


def test_a_lock_s_place_that_a_file_of_the_user_s_has_is_not_taken(path: Path) -> None:
    path.parent.mkdir()
    (path.parent / ".r.lock").write_text("mine")
    with pytest.raises(OutputError, match=r"cannot be locked: .*is not a lock"), RunFolder(path).locked():
        raise AssertionError
    assert (path.parent / ".r.lock").read_text() == "mine"
