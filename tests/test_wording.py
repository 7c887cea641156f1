"""Figures with digits that tell them apart, in units that show something; suggestions; lines that are printable."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamesekit.wording import LONGEST_LINE, apart, clock, gibibytes, in_one_line, near, rate, shown, size

Finite = st.floats(-1e300, 1e300)


@given(st.lists(Finite, min_size=1, max_size=4))
def test_figures_that_differ_look_different_and_come_back_in_their_order(values: list[float]) -> None:
    shown = apart(*values)
    assert len(set(shown)) >= len(set(values))
    read = [float(text) for text in shown]
    for value, other, one, two in (
        (values[i], values[j], read[i], read[j]) for i in range(len(values)) for j in range(len(values))
    ):
        assert (one <= two) if value <= other else (one > two), "a verdict can be followed"
    for value, text in zip(values, read, strict=True):
        assert text == pytest.approx(value, rel=5.01e-3), "three significant digits"


@given(st.floats(1e-3, 1e8))
def test_figures_of_everyday_size_have_four_decimals(value: float) -> None:
    [shown] = apart(value)
    assert len(shown.partition(".")[2]) == (4 if value >= 0.01 else 5)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((1.25, 0.5), ["1.2500", "0.5000"]),
        ((0.0, 1.25), ["0.0000", "1.2500"]),
        ((3.1e-5, 2.9e-5), ["0.0000310", "0.0000290"]),
        ((0.0, 4.2e-11), ["0.00e+00", "4.20e-11"]),
        ((0.27530001, 0.2753), ["0.27530001", "0.27530000"]),
        ((math.inf, math.nan, 0.5), ["inf", "nan", "0.5000"]),
        ((0.5, 0.5), ["0.5000", "0.5000"]),
    ],
)
def test_figures_side_by_side(values: tuple[float, ...], shown: list[str]) -> None:
    assert apart(*values) == shown


@pytest.mark.parametrize(
    ("count", "seconds", "shown"),
    [(25, 2, "12.5/s"), (255_495, 1, "255,495/s"), (1, 25, "25.0 s each"), (1, 300, "300 s each"), (0, 3, ""),
     (3, 0, "")],
)  # fmt: skip
def test_slow_things_are_told_in_seconds_each(count: int, seconds: float, shown: str) -> None:
    assert rate(count, seconds) == shown


@given(st.integers(1, 10**6), st.floats(1e-3, 1e6))
def test_no_rate_is_shown_as_nothing(count: int, seconds: float) -> None:
    number, _, unit = rate(count, seconds).replace("/s", " /s").replace(",", "").partition(" ")
    value = count / seconds if unit == "/s" else seconds / count
    assert value >= 1
    assert float(number) == pytest.approx(value, rel=0.06)


@given(st.integers(1, 10**15))
def test_no_size_is_shown_as_nothing(count: int) -> None:
    for told, step, units in ((size(count), 1000, "kB MB GB"), (gibibytes(count), 1024, "KiB MiB GiB")):
        number, unit = told.replace(",", "").split()
        assert float(number) * step ** (units.split().index(unit) + 1) == pytest.approx(count, rel=0.05)
        assert float(number) < 1000 or unit in ("GB", "GiB")


@pytest.mark.parametrize(
    ("word", "choices", "expected"),
    [
        ("tripel", ["triplet", "arcface"], " (did you mean 'triplet'?)"),
        ("zzz", ["triplet", "arcface"], ""),
        ("squared_euclidean", ["squared-euclidean"], " (did you mean 'squared-euclidean'?)"),
    ],
)
def test_near(word: str, choices: list[str], expected: str) -> None:
    assert near(word, choices) == expected


@given(st.text(st.characters(), max_size=200), st.integers(10, 100))
def test_a_line_is_printable_and_bounded_and_stays_so(text: str, longest: int) -> None:
    line = in_one_line(text, longest)
    assert line.isprintable()
    assert len(line) <= longest
    assert in_one_line(line, longest) == line
    if text.isprintable() and len(text) <= longest:
        assert line == text


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    line = in_one_line("a" * 10**7 + "z")
    assert len(line) <= LONGEST_LINE
    assert line.startswith("aaa") and line.endswith("aaz")


@pytest.mark.parametrize(("seconds", "expected"), [(7, "0:07"), (750, "12:30"), (3725, "1:02:05")])
def test_time_left_is_told_in_hours_minutes_and_seconds(seconds: float, expected: str) -> None:
    assert clock(seconds) == expected


@pytest.mark.parametrize("length", [57, 58, 59, 600])
def test_sixty_characters_are_shown(length: int) -> None:
    whole = f'"{"a" * length}"'
    assert shown("a" * length) == (whole if len(whole) <= 60 else whole[:57] + "...")


def test_what_json_does_not_know_is_shown_as_a_string() -> None:
    assert shown({1, 2}) == '"{1, 2}"'
