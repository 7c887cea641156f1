"""Progress in Python: in a notebook and on a terminal in place, at a prompt in lines, elsewhere nothing."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from siamesekit import progress as module
from siamesekit.progress import InParts, Progress, ShownProgress, progress_here


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that goes on by a second each time it is read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: float = 1.0) -> None:
        self.now, self.step = 0.0, step
        monkeypatch.setattr(module.time, "monotonic", self.read)

    def read(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture(autouse=True)
def nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.delattr(sys, "ps1", raising=False)
    monkeypatch.delitem(sys.modules, "IPython", raising=False)


def ipython(monkeypatch: pytest.MonkeyPatch, **shell: Any) -> None:
    """A fake of IPython, imported by whoever started this process."""
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(**shell)))  # type: ignore[arg-type]


def test_where_nobody_watches_it_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    shown = progress_here()
    assert type(shown) is Progress
    shown.say("news"), shown.warn("danger")
    assert list(shown.track([1, 2], 2, "Reading", "photos")) == [1, 2]
    assert capsys.readouterr() == ("", "")


def test_in_a_notebook_it_is_written_below_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    ipython(monkeypatch, kernel=object())
    shown = progress_here()
    assert isinstance(shown, ShownProgress) and shown.stream is sys.stdout and shown.in_place


def test_ipython_on_a_terminal_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ipython(monkeypatch)
    assert type(progress_here()) is Progress
    monkeypatch.setattr(sys, "stderr", Terminal())
    shown = progress_here()
    assert isinstance(shown, ShownProgress) and shown.stream is sys.stderr and shown.in_place


def test_at_a_prompt_without_a_terminal_it_is_told_in_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    shown = progress_here()
    assert isinstance(shown, ShownProgress) and shown.stream is sys.stderr and not shown.in_place


def test_a_bar_is_written_over_in_place_and_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    out = io.StringIO()
    assert list(ShownProgress(out, in_place=True).track("abcd", 4, "Reading", "photos")) == [*"abcd"]
    states = out.getvalue().split("\r")
    assert states[1] == f"Reading {'█' * 5}{'░' * 15} 1/4 photos, 1.0/s, 0:03 left"
    assert states[3] == f"Reading {'█' * 15}{'░' * 5} 3/4 photos, 1.0/s, 0:01 left"
    assert [states[0], states[4].strip(), states[5]] == ["", "", ""]
    assert len(states[4]) == len(states[3])
    assert "\n" not in out.getvalue()


def test_news_stand_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    out = io.StringIO()
    shown = ShownProgress(out, in_place=True)
    for _ in shown.track(range(3), 3, "Epoch 1", "batches"):
        pass
    shown.say("epoch 1 done")
    shown.warn("memory")
    assert out.getvalue().split("\r")[-1] == "epoch 1 done\nWarning: memory\n"


def test_lines_come_at_most_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, step=4.0)
    out = io.StringIO()
    list(ShownProgress(out, in_place=False).track(range(9), 9, "Reading", "photos"))
    assert out.getvalue().splitlines() == [
        "Reading: 3/9 photos, 4.0 s each, 0:24 left",
        "Reading: 6/9 photos, 4.0 s each, 0:12 left",
    ]


def test_fast_work_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, step=0.001)
    out = io.StringIO()
    list(ShownProgress(out, in_place=True).track(range(100), 100, "Reading", "photos"))
    assert out.getvalue() == ""


def test_work_that_fails_leaves_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    out = io.StringIO()
    with pytest.raises(ZeroDivisionError):
        for _ in ShownProgress(out, in_place=True).track((1 // (2 - n) for n in range(4)), 4, "Reading", "photos"):
            pass
    assert out.getvalue().endswith("\r")


@pytest.mark.parametrize(("seconds", "expected"), [(7, "0:07"), (750, "12:30"), (3725, "1:02:05")])
def test_time_left_is_told_in_hours_minutes_and_seconds(
    monkeypatch: pytest.MonkeyPatch, seconds: float, expected: str
) -> None:
    """After the first of two photos as much is left as has gone by."""
    Clock(monkeypatch, step=seconds)
    out = io.StringIO()
    list(ShownProgress(out, in_place=True).track(range(2), 2, "Reading", "photos"))
    assert f", {expected} left" in out.getvalue()


def test_work_in_parts_is_shown_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, step=6)
    out = io.StringIO()
    with InParts(ShownProgress(out, in_place=False), 5, "Reading", "photos") as whole:
        assert list(whole.track("ab", 2, "a part", "letters")) == ["a", "b"]
        whole.warn("danger", ["here"])
        assert list(whole.track("cde", 3, "a part", "letters")) == ["c", "d", "e"]
    assert [line.partition(",")[0] for line in out.getvalue().splitlines()] == [
        "Warning: danger", "  here", "Reading: 2/5 photos", "Reading: 4/5 photos",
    ]  # fmt: skip


def test_work_in_parts_that_ends_early_leaves_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    out = io.StringIO()
    with InParts(ShownProgress(out, in_place=True), 9, "Reading", "photos") as whole:
        list(whole.track("abc", 3, "a part", "letters"))
    assert "2/9" in out.getvalue() and out.getvalue().endswith("\r")
