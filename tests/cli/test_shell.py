"""The shell: errors to exit codes, stdout for results, stderr for the rest, progress."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from siamesekit import errors, wording
from siamesekit.cli import shell as shell_module
from siamesekit.cli.shell import JsonItems, Shell
from siamesekit.errors import RunError, SiamesekitError, UserError
from siamesekit.registry import installed_plugins

Captured = pytest.CaptureFixture[str]
USER_ERRORS = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, UserError)]


def leave(shell: Shell, error: BaseException) -> int:
    """The exit code with which an error leaves the shell."""
    with pytest.raises(SystemExit) as end, shell:
        raise error
    assert isinstance(end.value.code, int)
    return end.value.code


def make(kind: type[UserError]) -> UserError:
    return kind("c.toml", ["a: b"]) if kind is errors.ConfigError else kind("a: b")  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", USER_ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_of_the_user_s_is_exit_2(kind: type[UserError], capsys: Captured) -> None:
    assert leave(Shell(), make(kind)) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"error: {make(kind)}\n")


@pytest.mark.parametrize("error", [RunError("it broke [red]x[/red]"), SiamesekitError("it broke [red]x[/red]")])
def test_other_errors_raised_on_purpose_are_exit_1_and_printed_as_they_are(
    error: SiamesekitError, capsys: Captured
) -> None:
    assert leave(Shell(quiet=True), error) == 1
    assert capsys.readouterr() == ("", "error: it broke [red]x[/red]\n")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device", "a\nb"), "error: 'a\\nb': No space left on device"),
        (PermissionError(13, "Permission denied"), "error: Permission denied"),
        (MemoryError(), "error: out of memory: lower data.size, sampler.batch_size or train.memory_gib"),
        (RuntimeError("[enforce fail] can't allocate memory: you tried"), "error: out of memory: lower data.size"),
        (RuntimeError("unable to mmap 9 bytes from file"), "error: out of memory"),
        (RecursionError("maximum recursion depth"), "error: the input is nested too deeply; --debug shows where"),
        (
            ZeroDivisionError("division\nby zero"),
            "error: internal error of siamesekit: ZeroDivisionError: division\\nby zero; --debug prints the traceback: "
            "please report it",
        ),
    ],
)
def test_errors_not_raised_on_purpose_are_one_line_and_exit_1(error: Exception, told: str, capsys: Captured) -> None:
    assert leave(Shell(), error) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(told) and err.count("\n") == 1


def test_a_fault_of_the_library_is_told_with_its_place(capsys: Captured) -> None:
    with pytest.raises(SystemExit), Shell():
        wording.near("word", 3)  # type: ignore[arg-type]
    assert re.match(r"error: internal error of siamesekit at wording\.py:\d+: ", capsys.readouterr().err)


def test_with_debug_faults_come_through() -> None:
    with pytest.raises(ZeroDivisionError), Shell(debug=True):
        raise ZeroDivisionError


def test_with_debug_errors_come_through() -> None:
    with pytest.raises(UserError, match="why"), Shell(debug=True):
        raise UserError("why")


@pytest.mark.parametrize("debug", [False, True])
def test_ctrl_c_is_exit_130(debug: bool, capsys: Captured) -> None:
    assert leave(Shell(debug), KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "stopped\n")


@pytest.mark.parametrize("begun", [False, True])
def test_after_ctrl_c_resuming_is_offered_once_there_is_something_to_resume(
    begun: bool, tmp_path: Path, capsys: Captured
) -> None:
    shell = Shell()
    shell.offer_to_resume(tmp_path / "config.toml", "siamesekit run c.toml --resume", replacing=False)
    if begun:
        (tmp_path / "config.toml").write_text("")
    leave(shell, KeyboardInterrupt())
    offered = "to continue: siamesekit run c.toml --resume\n" if begun else ""
    assert capsys.readouterr().err == "stopped\n" + offered


@pytest.mark.parametrize("begun", [False, True])
def test_the_run_that_was_to_be_replaced_is_not_offered_to_be_resumed(
    begun: bool, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "old.toml").write_text("old")
    (tmp_path / "old.toml").rename(tmp_path / "config.toml")
    shell = Shell()
    shell.offer_to_resume(tmp_path / "config.toml", "siamesekit run c.toml --resume", replacing=True)
    if begun:
        (tmp_path / "config.toml").rename(tmp_path / "aside.toml")
        (tmp_path / "config.toml").write_text("new")
    leave(shell, KeyboardInterrupt())
    offered = "to continue: siamesekit run c.toml --resume\n" if begun else ""
    assert capsys.readouterr().err == "stopped\n" + offered


def test_a_failing_installed_plugin_is_named_and_passed_over(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(installed_plugins, "entry_points", lambda group: [EntryPoint("p", "gone_one", group)])
    monkeypatch.setattr(installed_plugins, "_loaded", False)
    with Shell(quiet=True) as shell:
        shell.json(1)
    failure = "plugin 'p' (gone_one) fails: ModuleNotFoundError: No module named 'gone_one'\n"
    assert capsys.readouterr() == ("1\n", failure)


def test_quiet_leaves_stdout_to_json(capsys: Captured) -> None:
    shell = Shell(quiet=True)
    shell.say("news")
    shell.warn("warning [b]")
    shell.json({"ä": Path("x")})
    assert list(shell.track([1, 2], 2, "label", "unit")) == [1, 2]
    out, err = capsys.readouterr()
    assert (json.loads(out), err) == ({"ä": "x"}, "warning [b]\n")


def test_news_and_lines_are_printed_as_they_are(capsys: Captured) -> None:
    shell = Shell()
    shell.say("[bold]" + "long " * 60 + ":smile:")
    shell.lines(["[a]", "b"])
    assert capsys.readouterr().out == "[bold]" + "long " * 60 + ":smile:\n[a]\nb\n"


def test_progress_without_a_terminal_is_a_line_at_most_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    clock = iter(range(0, 1000, 4))  # each item takes 4 s
    monkeypatch.setattr(shell_module.time, "perf_counter", lambda: next(clock))
    assert list(Shell().track("abcdefghi", 9, "photos", "photos")) == list("abcdefghi")
    assert capsys.readouterr().out.splitlines() == [
        "photos: 3/9 photos, 4.0 s each, 24 s left",
        "photos: 6/9 photos, 4.0 s each, 12 s left",  # and none at the end
    ]


def test_progress_on_a_terminal_passes_every_item_on(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell()
    monkeypatch.setattr(type(shell.out), "is_terminal", True)
    taken: Iterator[int] = shell.track(iter([3, 1, 2]), 3, "photos", "photos")
    assert next(taken) == 3
    assert list(taken) == [1, 2]


def test_a_rate_counts_work_that_is_done_before_an_item_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    now = [0.0]
    monkeypatch.setattr(shell_module.time, "perf_counter", lambda: now[0])
    shown = Shell().track(range(64), 64, "Calibrating", "images")
    now[0] = 16.0  # 32 images are through at once
    for _ in range(33):
        next(shown)
    assert capsys.readouterr().out.splitlines()[0].startswith("Calibrating: 1/64 images, 16.0 s each")
    now[0] = 32.0
    assert len(list(shown)) == 31
    assert capsys.readouterr().out.splitlines() == ["Calibrating: 33/64 images, 1.0/s, 30 s left"]


def test_missing_files_are_named_together(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("")
    Shell().require_files(tmp_path / "here")
    with pytest.raises(UserError, match=r"^no such file: a, b$"):
        Shell().require_files(tmp_path / "here", Path("a"), Path("b"))


def test_width_is_the_environment_s_where_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, width in [("77", 77), ("", 160), ("x", 160), ("0", 160)]:
        monkeypatch.setenv("COLUMNS", columns)
        assert Shell().out.width == width
    monkeypatch.setenv("COLUMNS", "")
    assert Shell().err.width == 1_000_000


def test_a_finding_is_told_once(capsys: Captured) -> None:
    shell = Shell()
    shell.say("2 individuals were left out")
    shell.say_once("2 individuals were left out")
    shell.say_once("other")
    assert capsys.readouterr().out == "2 individuals were left out\nother\n"


def test_items_kept_on_the_disk_are_printed_as_of_one_document(capsys: Captured, monkeypatch: Any) -> None:
    """To the byte, also where nothing is in a list, and beside texts that are broken or that a terminal would obey."""
    monkeypatch.setattr(shell_module, "PIECE", 7)
    answers = [
        {"query": "a\n\x1b[1m ä\u2028", "candidates": [{"path": Path("x"), "new": None}, {}], "none": []},
        [],
        1.5,
        "b",
    ]
    rest = {"left_out": [], "note": "ä\x07", "enrolled": {}}
    for items in (answers, answers[:1], []):
        kept = JsonItems()
        for item in items:
            kept.add(item)
        Shell(quiet=True).json_of("answers", kept, rest)
        ours = capsys.readouterr().out
        Shell(quiet=True).json({"answers": items, **rest})
        assert ours == capsys.readouterr().out
        assert json.loads(ours)["answers"] == json.loads(json.dumps(items, default=str))
