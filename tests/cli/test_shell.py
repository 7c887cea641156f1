"""The shell: errors to exit codes, stdout for results, stderr for the rest, progress."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from siamesekit import errors, plugins
from siamesekit.artifact import Comparison
from siamesekit.cli import shell as shell_module
from siamesekit.cli.shell import Shell
from siamesekit.errors import RunError, SiamesekitError, UserError

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


def test_errors_not_raised_on_purpose_come_through() -> None:
    with pytest.raises(ZeroDivisionError), Shell():
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
    shell.resume = (tmp_path / "config.toml", "siamesekit run c.toml --resume")
    if begun:
        (tmp_path / "config.toml").write_text("")
    leave(shell, KeyboardInterrupt())
    offered = "to go on: siamesekit run c.toml --resume\n" if begun else ""
    assert capsys.readouterr().err == "stopped\n" + offered


def test_a_failing_installed_plugin_is_named_and_passed_over(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(plugins, "entry_points", lambda group: [EntryPoint("p", "gone_one", group)])
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
        "photos: 3/9 photos, 0.2/s, 24 s left",
        "photos: 6/9 photos, 0.2/s, 12 s left",  # and none at the end
    ]


def test_progress_on_a_terminal_passes_every_item_on(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell()
    monkeypatch.setattr(type(shell.out), "is_terminal", True)
    taken: Iterator[int] = shell.track(iter([3, 1, 2]), 3, "photos", "photos")
    assert next(taken) == 3
    assert list(taken) == [1, 2]


def test_missing_files_are_named_together(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("")
    Shell().require_files(tmp_path / "here")
    with pytest.raises(UserError, match=r"^there is no a and no b$"):
        Shell().require_files(tmp_path / "here", Path("a"), Path("b"))


def describe(cross_fit: dict[str, Any] | None) -> dict[str, Any]:
    """What of an artifact's description a comparison is printed with."""
    stand_in = {"used": "random weights", "wanted": "imagenet weights"}
    return {"operating_point": {"cross_fit": cross_fit, "individuals": 4}, "stand_ins": [stand_in]}


def test_a_comparison_says_what_its_verdict_is_worth(capsys: Captured) -> None:
    worth = {"different_pairs": 96, "false_accept_rate": {"value": 0.125}, "same_pairs": 24,
             "false_reject_rate": {"value": 0.25}}  # fmt: skip
    Shell().comparison(Comparison(1.25, 0.0625, 0.5, False), describe(worth))
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "distance    1.2500",
        "similarity  0.062",
        "verdict     different individuals (threshold 0.5000)",
        "at this threshold, of 96 different pairs 12.5% are called same, and of 24 same pairs 25.0% different "
        "(cross-fitted on 4 individuals that did not train)",
    ]
    assert err == "trained with a stand-in: random weights in place of imagenet weights\n"


def test_a_comparison_without_a_threshold_gives_the_distance_alone(capsys: Captured) -> None:
    Shell().comparison(Comparison(1.25, None, None, None), {"stand_ins": []})
    assert capsys.readouterr().out.splitlines() == [
        "distance    1.2500",
        "similarity  unknown: this model ships no threshold (its evaluation.json says why)",
    ]


def test_an_evaluation_says_its_threshold_notes_and_stand_ins(capsys: Captured) -> None:
    figure = {"value": 0.5, "low": None, "high": None}
    networks = {"trained": dict.fromkeys(["triplet_accuracy", "precision_at_1", "map_at_r"], figure)}
    evaluation = {"photos": 8, "individuals": 2, "triplets": 12, "confidence": 0.95, "networks": networks,
                  "threshold": {"threshold": 0.25, "criterion": "equal"}, "notes": ["Few [x] photos."]}  # fmt: skip
    stand_in = {"used": "drawn", "wanted": "photos", "hint": "get them"}
    Shell().evaluation(evaluation, "runs/r", {"stand_ins": [stand_in], "seconds": {"total": 90}})
    out, err = capsys.readouterr()
    assert out.splitlines()[-3:] == [
        "threshold 0.2500 (equal)", "Few [x] photos.", "1.5 min; report: runs/r/report.html",
    ]  # fmt: skip
    assert err == "These figures are of a stand-in: drawn in place of photos. For the real thing: get them\n"


def test_width_is_the_environment_s_where_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, width in [("77", 77), ("", 160), ("x", 160), ("0", 160)]:
        monkeypatch.setenv("COLUMNS", columns)
        assert Shell().out.width == width
    monkeypatch.setenv("COLUMNS", "")
    assert Shell().err.width == 1_000_000
