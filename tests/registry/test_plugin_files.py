"""Plugins: a file is loaded once while it is unchanged, and a failing one is named with its line."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from siamesekit.errors import ComponentError, PluginError
from siamesekit.registry import LOSSES
from siamesekit.registry.plugin_files import load_plugin_file

pytestmark = pytest.mark.usefixtures("no_traces")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A plugin that writes down each of its runs, and registers the loss `counted`."""
    return write(tmp_path / "p.py", 1)


def write(file: Path, value: int) -> Path:
    log = file.with_name("log")
    file.write_text(
        "from siamesekit import LOSSES\n"
        f"with open({str(log)!r}, 'a') as log: log.write('{value}')\n"
        "@LOSSES.register('counted')\n"
        f"def counted(x: int = {value}): return x\n"
    )
    return file


def runs(file: Path) -> str:
    """The values of the plugin's runs."""
    return file.with_name("log").read_text()


def test_a_file_is_run_once_however_it_is_spelt(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    for spelling in (file, Path("p.py"), file.parent / "x" / ".." / "p.py"):
        load_plugin_file(spelling)
    assert runs(file) == "1"
    assert LOSSES.build("counted") == 1


def test_a_changed_file_is_run_again_and_counts(file: Path) -> None:
    load_plugin_file(file)
    load_plugin_file(write(file, 2))
    assert runs(file) == "12"
    assert LOSSES.build("counted") == 2


def test_what_a_file_said_before_counts_again_when_it_says_it_again(file: Path) -> None:
    for value in (1, 2, 1):
        load_plugin_file(write(file, value))
    assert (runs(file), LOSSES.build("counted")) == ("121", 1)


def test_a_change_of_the_same_length_in_the_same_second_counts(file: Path) -> None:
    """Python's own import would take the compiled file of before: it goes by size and second."""
    before = file.stat()
    for value in range(1, 5):
        write(file, value)
        os.utime(file, (before.st_atime, before.st_mtime))
        load_plugin_file(file)
        assert LOSSES.build("counted") == value


def test_the_content_that_was_run_is_what_is_kept(file: Path) -> None:
    content = file.read_bytes()
    plugin = load_plugin_file(file)
    write(file, 2)
    assert (plugin.path, plugin.content) == (file, content)
    assert plugin.sha256 == hashlib.sha256(content).hexdigest()


def test_files_of_one_name_are_different_plugins(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "p.py").write_text(
            f"from siamesekit import LOSSES\n@LOSSES.register('of-{folder}')\ndef loss(): return {folder!r}\n"
        )
        load_plugin_file(tmp_path / folder / "p.py")
    assert (LOSSES.build("of-a"), LOSSES.build("of-b")) == ("a", "b")


def test_a_plugin_s_functions_can_be_found_by_their_module_s_name(file: Path) -> None:
    """Worker processes unpickle them by it."""
    load_plugin_file(file)
    counted = LOSSES.factory("counted")
    assert sys.modules[counted.__module__].counted is counted


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("\n\nraise ValueError('no')", "plugin 'bad.py' fails at line 3: ValueError: no"),
        ("def f():\n    return 1 / 0\n\nf()", "plugin 'bad.py' fails at line 2: ZeroDivisionError: division by zero"),
        ("import json\njson.loads('{')", "plugin 'bad.py' fails at line 2: JSONDecodeError: "),
        ("x = (\n", "plugin 'bad.py' fails at line 1: SyntaxError: '(' was never closed"),
        ("import gone_for_good", "plugin 'bad.py' fails at line 1: ModuleNotFoundError: No module named"),
        ("import sys\n\nsys.exit('bye')", "plugin 'bad.py' fails at line 3: SystemExit: bye"),
    ],
)
def test_a_failing_file_is_named_with_its_own_line(tmp_path: Path, code: str, expected: str) -> None:
    (tmp_path / "bad.py").write_text(code)
    with pytest.raises(PluginError) as error:
        load_plugin_file(tmp_path / "bad.py")
    assert str(error.value).startswith(expected)
    assert not [name for name in sys.modules if name.startswith("siamesekit_plugin_bad")]


def test_a_registration_s_error_comes_through_and_the_file_may_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("from siamesekit import LOSSES\n@LOSSES.register('Bad')\ndef f(): ...\n")
    for _ in range(2):
        with pytest.raises(ComponentError, match="'Bad' is not kebab-case"):
            load_plugin_file(tmp_path / "p.py")


def test_ctrl_c_is_not_the_plugin_s_failure(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text("raise KeyboardInterrupt")
    for _ in range(2):  # and half of it is not taken for the whole
        with pytest.raises(KeyboardInterrupt):
            load_plugin_file(tmp_path / "interrupted.py")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gone.py", "plugin 'gone.py': no such file: "),
        ("folder", "plugin 'folder': no such file: "),
        ("notes.txt", "plugin 'notes.txt': .*notes.txt is not a Python file"),
        ("a" * 300, "plugin 'a+' cannot be read: File name too long"),
    ],
)
def test_what_is_no_python_file_is_refused(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(PluginError, match=expected):
        load_plugin_file(tmp_path / name)


def test_a_link_in_a_circle_is_said(tmp_path: Path) -> None:
    (tmp_path / "l.py").symlink_to("l.py")
    with pytest.raises(PluginError, match=r"plugin 'l\.py' cannot be read: its links lead in a circle"):
        load_plugin_file(tmp_path / "l.py")
