"""State of reading a config: its text, its overrides, and the problems found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from siamesekit.config.toml import line_of
from siamesekit.config.value_mistakes import list_mistake, number_mistake

LONGEST_KEY = 60
"""Longest part of a key in a message, in characters."""
WITH_LINES = 100
"""Number of problems for which the line is looked up, each by scanning the whole text."""
NO_NUMBER = re.compile(r'must be (.+), not "([^"\\]{1,60})"')
"""The message about a string where another type is needed."""


@dataclass
class Reading:
    """A config being read: file, text (for line numbers), overridden keys, and problems found."""

    path: Path
    text: str
    overridden: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def is_overridden(self, place: Sequence[str]) -> bool:
        """Whether the value at this place, or a table around it, comes from an override."""
        return any(".".join(place[:end]) in self.overridden for end in range(1, len(place) + 1))

    def problem(self, place: Sequence[str], what: str) -> None:
        """Add a problem with the value at a place."""
        dotted = ".".join(key if len(key) <= LONGEST_KEY else f"{key[:LONGEST_KEY]}..." for key in place)
        if self.is_overridden(place):
            where = f"--set {dotted}"
        else:
            line = line_of(self.text, place) if len(self.problems) < WITH_LINES else None
            where = f"{self.path.name}:{line}  {dotted}" if line else f"{self.path.name}  {dotted}"
        self.problems.append(f"{where}: {what}{_spelling(what)}")

    def base(self, place: Sequence[str]) -> Path:
        """The folder that paths are relative to: that of the config, or the current one for an override."""
        return Path.cwd() if self.is_overridden(place) else self.path.parent


def _spelling(what: str) -> str:
    """The correct spelling of a string where a number, a boolean or a list is needed: 0.2 for `0,2`."""
    found = NO_NUMBER.fullmatch(what)
    if found is None or not re.match("a (finite )?number|a whole number|a boolean|true or false|a list|\\[", found[1]):
        return ""
    said = list_mistake(found[2]) if found[1].startswith(("a list", "[")) else number_mistake(found[2])
    return f": {said}" if said else ""
