"""How long work tells of itself: the library calls `Progress`, the command line shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


class Progress:
    """Silent; a subclass shows what it is told."""

    def say(self, text: str) -> None:
        """One line of news."""

    def warn(self, text: str) -> None:
        """One line that the user must not overlook."""

    def track(self, items: Iterable[Item], total: int, label: str, unit: str) -> Iterator[Item]:
        """Pass `items` on, showing how many of `total` are through, the rate and the time left."""
        yield from items
