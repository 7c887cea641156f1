"""Wording that many modules share: figures with enough digits, units, suggestions, and printable lines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FEWEST = 3
"""Fewest significant digits of a figure."""
MOST_DECIMALS = 9
"""A figure that needs more decimals than this, or more digits before the point, is written as a power of ten."""
EXACT = 17
"""Significant digits that tell any two float64 apart."""
LONGEST_LINE = 4000
"""Most characters shown of a message's line. The names of all components of a kind take a few thousand."""


def apart(*values: float, decimals: int = 4) -> list[str]:
    """Figures to be read beside each other, all with the same number of decimals.

    There are `decimals` decimals, or more if a figure needs them for three significant digits, or if different figures
    would look the same. Figures too small or too large for that are written as powers of ten.

    >>> apart(1.25, 0.5)
    ['1.2500', '0.5000']
    >>> apart(0.5, 0.50001)
    ['0.50000', '0.50001']
    >>> apart(0.0, 3.217e-12)
    ['0.00e+00', '3.22e-12']
    """
    finite = [abs(value) for value in values if value and math.isfinite(value)]
    if all(value < 10.0**MOST_DECIMALS for value in finite):
        for places in range(decimals, MOST_DECIMALS + 1):
            shown = [f"{value:.{places}f}" for value in values]
            if all(value >= 10.0 ** (FEWEST - 1 - places) for value in finite) and _differ(values, shown):
                return shown
    for digits in range(FEWEST, EXACT + 1):
        shown = [f"{value:.{digits - 1}e}" for value in values]
        if _differ(values, shown):
            break
    return shown


def rate(count: float, seconds: float) -> str:
    """A rate: `12.3/s`, or `4.5 s each` if one item takes more than a second.

    >>> rate(25, 2), rate(3, 12), rate(0, 5)
    ('12.5/s', '4.0 s each', '')
    """
    if count <= 0 or seconds <= 0:
        return ""
    if count >= seconds:
        return f"{count / seconds:,.{1 if count < 100 * seconds else 0}f}/s"
    return f"{seconds / count:,.{1 if seconds < 100 * count else 0}f} s each"


def file_size(count: int) -> str:
    """The size of a file in decimal units, with three digits.

    >>> file_size(400), file_size(366_123)
    ('400 bytes', '366 kB')
    """
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.3g} kB" if count < 10**6 else f"{count / 10**6:.3g} MB"


def size(count: float) -> str:
    """Bytes in decimal units, as a file manager shows them.

    >>> size(1_550_000_000), size(12_000_000), size(400)
    ('1.6 GB', '12 MB', '0.4 kB')
    """
    return _in_units(count, 1000, ("kB", "MB", "GB"), 2)


def gibibytes(count: float) -> str:
    """Bytes in binary units, those of the config's `memory_gib`.

    >>> gibibytes(1.5 * 2**30), gibibytes(300 * 2**20), gibibytes(100)
    ('1.5 GiB', '300 MiB', '0.0977 KiB')
    """
    return _in_units(count, 1024, ("KiB", "MiB", "GiB"), 3)


def with_interval(interval: Mapping[str, float | None], form: str = ".3f") -> str:
    """A value with its interval, `0.467 (0.380–0.552)`; the value alone without an interval; a dash without a value.

    Args:
        interval: `value`, `low` and `high`.
        form: format of each number, as for `format`.
    """
    if interval["value"] is None:
        return "–"
    if interval["low"] is None or interval["high"] is None:
        return f"{interval['value']:{form}}"
    return f"{interval['value']:{form}} ({interval['low']:{form}}–{interval['high']:{form}})"


def duration(seconds: float) -> str:
    """A duration in seconds, or in minutes from two minutes on.

    >>> duration(119), duration(120)
    ('119 s', '2 min')
    """
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def full_duration(seconds: float) -> str:
    """A duration in full words: in seconds, or in minutes from two minutes on.

    >>> full_duration(119), full_duration(150)
    ('119 seconds', '2.5 minutes')
    """
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.1f} minutes"


def clock(seconds: float) -> str:
    """A duration as a clock shows it: `0:07`, `12:30`, `1:02:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def in_place_of(used: str, wanted: str) -> str:
    """A stand-in in words: `random weights in place of imagenet weights`."""
    return f"{used} in place of {wanted}"


def for_the_real_thing(hint: str) -> str:
    """How to avoid a stand-in: `For the real thing: siamesekit fetch`."""
    return f"For the real thing: {hint}"


def near(word: str, choices: Iterable[str]) -> str:
    """Suggest spellings: `" (did you mean 'triplet'?)"`, or an empty string if no choice is similar."""
    from difflib import get_close_matches

    return did_you_mean(get_close_matches(word, list(choices), n=3, cutoff=0.6))


def did_you_mean(found: Iterable[str]) -> str:
    """`" (did you mean 'a' or 'b'?)"`, or an empty string if nothing was found."""
    shown = " or ".join(map(repr, found))
    return f" (did you mean {shown}?)" if shown else ""


def shown(value: Any) -> str:
    """A value as JSON, at most 60 characters."""
    given = json.dumps(value, default=str)
    return given if len(given) <= 60 else given[:57] + "..."


def and_more(count: int, shown: int, what: str = "") -> str:
    """How many of `count` items are not shown, `and 30 more`; an empty string if all are shown.

    >>> and_more(40, 10), and_more(40, 10, "kinds"), and_more(9, 10)
    ('and 30 more', 'and 30 more kinds', '')
    """
    return f"and {count - shown} more{what and f' {what}'}" if count > shown else ""


def first_of(names: Sequence[str], most: int) -> str:
    """The first names of a list, and the number of the others: `a.jpg, b.jpg and 30 more`."""
    more = and_more(len(names), most)
    return ", ".join(map(line_of_name, names[:most])) + (more and f" {more}")


def first_lines(lines: Sequence[str], most: int) -> list[str]:
    """The first lines of a list, and a line with the number of the others."""
    more = and_more(len(lines), most)
    return [*lines[:most], *([more] if more else [])]


def in_one_line(text: str, longest: int = LONGEST_LINE) -> str:
    """Text of unknown origin as one printable line of bounded length.

    Python's escapes replace whatever would break the line or act on a terminal: control characters, escape sequences,
    marks that change the direction of writing. Longer text keeps its beginning and its end.

    >>> in_one_line("a\\x1b[2Jb\\nc")
    'a\\\\x1b[2Jb\\\\nc'
    """
    if len(text) > 2 * longest:  # cut before escaping, which only makes text longer
        text = text[:longest] + text[-longest:]
    shown = printable(text)
    half = (longest - 3) // 2
    return shown if len(shown) <= longest else f"{shown[:half]} … {shown[-half:]}"


def first_line(text: str, longest: int) -> str:
    """The first line of another library's message, which may be long, without control characters.

    >>> first_line("cannot run\\nGraph: …", 300)
    'cannot run'
    """
    return in_one_line(text.partition("\n")[0])[:longest]


def printable(text: str) -> str:
    """Text of unknown origin, with Python's escapes for characters that act on a terminal or end a line."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def line_of_name(name: str) -> str:
    """A file's name for a message: unchanged, or quoted with escapes if it would break the line."""
    return name if name.isprintable() else repr(name)


def _in_units(count: float, step: int, units: tuple[str, str, str], digits: int) -> str:
    """A size in the smallest unit that gives less than a thousand, else in the largest unit."""
    value, power = count / step, 0
    while value >= 999.5 and power < len(units) - 1:
        value, power = value / step, power + 1
    return f"{value:,.0f} {units[power]}" if value >= 99.5 else f"{value:.{digits}g} {units[power]}"


def _differ(values: tuple[float, ...], shown: list[str]) -> bool:
    """Whether different values look different."""
    return len({value for value in values if value == value}) <= len(set(shown))
