"""The individual in the names of photos that lie in one folder, such as `seal07_left_3.jpg`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from siamesekit.config.project.folder_levels import DAY, SIDES, YEAR

SEPARATORS = ("_", "-", " ", ".")
MOST_MISFITS = 0.1
"""Share of names that need not fit."""


class NamePattern(NamedTuple):
    """A pattern for names of photos.

    Attributes:
        pattern: the pattern, without folders.
        individuals: names of the individuals that it finds, sorted.
    """

    pattern: str
    individuals: tuple[str, ...]


def name_patterns(names: Sequence[str]) -> list[NamePattern]:
    """Patterns by which the names of photos may name individuals, the most likely first; none if no pattern fits.

    A name is divided at the separator that divides most names into equally many parts. The individual is the first
    part that has several names, comes again, and is neither a date nor a side; the last part is a number or letter
    that counts an individual's photos.

    Args:
        names: names of the photos, without their suffixes.

    >>> [each.pattern for each in name_patterns(["seal1_L_1", "seal1_R_2", "seal2_L_1", "seal2_L_2"])]
    ['{individual}_{side}_*']
    """
    found: list[NamePattern] = []
    for separator in SEPARATORS:
        divided = [name.split(separator) for name in names if separator in name]
        if len(divided) < (1 - MOST_MISFITS) * len(names):
            continue
        widths = [len(parts) for parts in divided]
        usual = max(set(widths), key=widths.count)
        even = [parts for parts in divided if len(parts) == usual]
        if usual > 1 and len(even) >= (1 - MOST_MISFITS) * len(names):
            found += _by_parts(even, separator)
        last = [name.rpartition(separator)[0] for name in names if separator in name]
        if _are_individuals(last, len(names)):
            found.append(NamePattern(f"{{individual}}{separator}*", tuple(sorted(set(last)))))
    glued = [match[1] for match in map(re.compile(r"(.*[A-Za-z])\d+").fullmatch, names) if match]
    if not found and len(glued) == len(names) and _are_individuals(glued, len(names)):
        found.append(NamePattern(r"(?P<individual>.*[A-Za-z])\d+", tuple(sorted(set(glued)))))
    unique = {each.pattern: each for each in found}
    return list(unique.values())


def _by_parts(divided: Sequence[Sequence[str]], separator: str) -> list[NamePattern]:
    """Patterns by which one part of all names is the individual."""
    columns = list(zip(*divided, strict=True))
    found = []
    for number, column in enumerate(columns[:-1]):
        if _field(column) or not _are_individuals(column, len(divided)):
            continue
        fields = [_field(other) for other in columns]
        fields[number] = "individual"
        parts = [f"{{{name}}}" if name and fields.index(name) == place else "*" for place, name in enumerate(fields)]
        while len(parts) > number + 2 and parts[-1] == parts[-2] == "*":
            parts.pop()
        found.append(NamePattern(separator.join(parts), tuple(sorted(set(column)))))
    return found


def _field(column: Sequence[str]) -> str:
    """The field that a part of all names is; empty for none."""
    names = set(column)
    if len(names) > 1 and {name.lower() for name in names} <= SIDES:
        return "side"
    if len(names) > 1 and all(map(YEAR.fullmatch, names)):
        return "year"
    return "day" if all(map(DAY.fullmatch, names)) else ""


def _are_individuals(column: Sequence[str], photos: int) -> bool:
    """Whether a part of all names may be the individuals: there are several, and they come again."""
    names = set(column)
    return 2 <= len(names) <= photos / 1.5 and "" not in names
