"""Figures as text, with digits that tell them apart."""

from __future__ import annotations

import math
from collections.abc import Mapping

FEWEST = 3
"""Significant digits that a figure has at least."""
MOST_DECIMALS = 9
"""Beyond so many decimals, and from so many digits before the point, a figure stands as a power of ten."""
EXACT = 17
"""Significant digits that tell any two float64 apart."""


def apart(*values: float, decimals: int = 4) -> list[str]:
    """Figures that are read beside each other, all with as many decimals.

    There are `decimals`, or as many more as show three significant digits of each and let figures that differ look
    different; figures that are too small or too large for it stand as powers of ten.

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
    """How fast things are done: `12.3/s`, or where one takes more than a second `4.5 s each`.

    >>> rate(25, 2), rate(3, 12), rate(0, 5)
    ('12.5/s', '4.0 s each', '')
    """
    if count <= 0 or seconds <= 0:
        return ""
    if count >= seconds:
        return f"{count / seconds:,.{1 if count < 100 * seconds else 0}f}/s"
    return f"{seconds / count:,.{1 if seconds < 100 * count else 0}f} s each"


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


def with_interval(interval: Mapping[str, float | None]) -> str:
    """`0.467 (0.380–0.552)`; without an interval the value alone, without a value a dash."""
    if interval["value"] is None:
        return "–"
    if interval["low"] is None or interval["high"] is None:
        return f"{interval['value']:.3f}"
    return f"{interval['value']:.3f} ({interval['low']:.3f}–{interval['high']:.3f})"


def duration(seconds: float) -> str:
    """Seconds, from two minutes on minutes.

    >>> duration(119), duration(120)
    ('119 s', '2 min')
    """
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _in_units(count: float, step: int, units: tuple[str, str, str], digits: int) -> str:
    """In the smallest unit of which there are less than a thousand, else in the largest one."""
    value, power = count / step, 0
    while value >= 999.5 and power < len(units) - 1:
        value, power = value / step, power + 1
    return f"{value:,.0f} {units[power]}" if value >= 99.5 else f"{value:.{digits}g} {units[power]}"


def _differ(values: tuple[float, ...], shown: list[str]) -> bool:
    """Whether figures that differ look different."""
    return len({value for value in values if value == value}) <= len(set(shown))
