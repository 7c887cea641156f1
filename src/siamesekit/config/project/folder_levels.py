"""What the levels of a folder of photos are: sites, years, encounters, parts of a split, and the individuals."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from siamesekit.data.dates import moment_of
from siamesekit.data.photo_folders import natural
from siamesekit.data.splits.column import WORDS

Kind = Literal["names", "split", "year", "date", "day", "side", "encounter", "general", "single"]
YEAR = re.compile(r"(?:(?:season|survey|year|summer|winter|trip)[ _-]?)?(?:19|20)\d\d", re.IGNORECASE)
DAY = re.compile(r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])(?:[-_.]?(?:0[1-9]|[12]\d|3[01]))?")
ENCOUNTER = re.compile(
    r"(?:e|enc|encounter|sighting|visit|session|trip|event|seq|sequence|occasion|burst|survey|deployment)[ _-]?\d+",
    re.IGNORECASE,
)
SIDES = frozenset(
    {
        "left", "right", "l", "r", "dorsal", "ventral", "lateral", "front", "back", "top", "bottom", "head", "tail",
        "fluke", "flukes", "fin", "face", "body",
    }
)  # fmt: skip
GENERAL = frozenset(
    {
        "photos", "photo", "images", "image", "img", "imgs", "pictures", "pics", "crops", "cropped", "originals",
        "original", "raw", "jpg", "jpeg", "png", "edited", "data", "dcim", "dataset",
    }
)  # fmt: skip
"""Names of folders that say nothing about their photos."""
STRAY = 0.05
"""Share of photos that may lie less deep than the others."""
FEW, MANY = 12, 3
"""Most sites, and least individuals at each of them in the mean, for a level of sites above that of the individuals."""


@dataclass(frozen=True)
class Level:
    """A level of folders.

    Attributes:
        kind: what its names look like.
        names: its distinct names, in natural order.
        folders: number of its folders.
    """

    kind: Kind
    names: tuple[str, ...]
    folders: int

    @property
    def repeated(self) -> bool:
        """Whether folders of the same name are in several folders."""
        return self.folders > 1.2 * len(self.names)


def levels_of(paths: Sequence[Sequence[str]]) -> list[Level]:
    """The levels of folders that nearly all photos are in.

    Args:
        paths: the parts of each photo's path below the folder of photos.
    """
    depths = Counter(len(path) - 1 for path in paths)
    spare = max(1, int(STRAY * len(paths))) if len(paths) >= 8 else 0
    depth, above = 0, 0
    for depth in sorted(depths):
        above += depths[depth]
        if above > spare:
            break
    deep = [path for path in paths if len(path) > depth]
    levels = []
    for level in range(depth):
        folders = {tuple(path[: level + 1]) for path in deep}
        names = tuple(sorted({folder[-1] for folder in folders}, key=natural))
        levels.append(Level(_kind(names), names, len(folders)))
    return levels


def _kind(names: Sequence[str]) -> Kind:
    """What the names of a level look like."""
    lower = {name.lower() for name in names}
    if len(lower) > 1 and lower <= WORDS.keys():
        return "split"
    if lower <= GENERAL:
        return "general"
    if len(names) == 1:
        return "single"
    if all(map(YEAR.fullmatch, names)):
        return "year"
    if all(moment_of(name) is not None for name in names):
        return "date"
    if all(map(DAY.fullmatch, names)):
        return "day"
    if lower <= SIDES:
        return "side"
    return "encounter" if all(map(ENCOUNTER.fullmatch, names)) else "names"


def level_of_individuals(levels: Sequence[Level]) -> int | None:
    """The level whose folders are the individuals; None if none can be.

    A level of names is one of individuals. Of two levels, the lower one is if it has as many names, which come again in
    several folders of the upper one (individuals at several sites), or if the upper one has few folders with many in
    each.
    """
    candidates = [number for number, level in enumerate(levels) if level.kind == "names"]
    if not candidates:
        others = [n for n, level in enumerate(levels) if level.kind not in ("split", "side", "general", "single")]
        return others[-1] if others else None
    chosen = candidates[-1]
    for upper, lower in reversed(list(pairwise(candidates))):
        if chosen == lower and not _is_below(levels[upper], levels[lower]):
            chosen = upper
    return chosen


def _is_below(upper: Level, lower: Level) -> bool:
    """Whether the individuals are the folders of the lower of two levels of names."""
    if lower.repeated:
        return len(lower.names) >= len(upper.names) and not all(name.isdecimal() for name in lower.names)
    return upper.folders <= FEW and lower.folders >= MANY * upper.folders


def fields_of_levels(levels: Sequence[Level], individuals: int) -> list[str]:
    """The parts of a pattern, one for each level, such as `{site}`, down to the last level that says something."""
    parts, used = [], {"individual"}
    for number, level in enumerate(levels):
        name = "individual" if number == individuals else _field(level, number < individuals)
        if name in used and number != individuals:
            name = f"level{number + 1}" if name else ""
        used.add(name)
        parts.append(f"{{{name}}}" if name else "*")
    while len(parts) > individuals + 1 and parts[-1] == "*":
        parts.pop()
    return parts


def _field(level: Level, is_above: bool) -> str:
    """The name of a level above or below the individuals; empty for none."""
    if level.kind in ("general", "single"):
        return ""
    if level.kind == "names":
        return "site" if is_above else ""
    return level.kind
