"""What is collected while a config is read: where things stand, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from siamesekit.config.toml import line_of
from siamesekit.config.value_mistakes import list_mistake, number_mistake

LONGEST_KEY = 60
"""Characters that are shown of a key."""
WITH_LINES = 100
"""Of so many problems the lines are looked up, each by reading the whole text."""

NO_NUMBER = re.compile(r'must be (.+), not "([^"\\]{1,60})"')
"""What is said of a string in place of something else."""


@dataclass
class Reading:
    """A config's file, its text for line numbers, the places of the overrides, and the problems found."""

    path: Path
    text: str
    overridden: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def is_overridden(self, place: Sequence[str]) -> bool:
        """Whether the value there, or a table around it, comes from an override."""
        return any(".".join(place[:end]) in self.overridden for end in range(1, len(place) + 1))

    def problem(self, place: Sequence[str], what: str) -> None:
        """Note what is wrong with the value at a place."""
        dotted = ".".join(key if len(key) <= LONGEST_KEY else f"{key[:LONGEST_KEY]}..." for key in place)
        if self.is_overridden(place):
            where = f"--set {dotted}"
        else:
            line = line_of(self.text, place) if len(self.problems) < WITH_LINES else None
            where = f"{self.path.name}:{line}  {dotted}" if line else f"{self.path.name}  {dotted}"
        self.problems.append(f"{where}: {what}{_spelling(what)}")

    def base(self, place: Sequence[str]) -> Path:
        """What a path is relative to: the config's folder, or for an override the current one."""
        return Path.cwd() if self.is_overridden(place) else self.path.parent


def _spelling(what: str) -> str:
    """How a string is spelt that stands where a number, a truth value or a list belongs: `0,2` is 0.2."""
    found = NO_NUMBER.fullmatch(what)
    if found is None or not re.match("a (finite )?number|a whole number|a boolean|true or false|a list|\\[", found[1]):
        return ""
    said = list_mistake(found[2]) if found[1].startswith(("a list", "[")) else number_mistake(found[2])
    return f": {said}" if said else ""
