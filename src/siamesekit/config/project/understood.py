"""What `init` has understood of photos: their reader and options, shown as a tree, and what else they could mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from siamesekit.wording import line_of_name

SHOWN = 3


@dataclass(frozen=True)
class Understood:
    """How photos are read.

    Attributes:
        reader: name of the reader.
        option: option of the reader for the place.
        place: folder or table of the photos.
        options: other options of the reader that differ from their defaults.
        tree: what was understood, a line for each level of folders or column.
        others: what else the photos could mean, each with the option for it.
        notes: remarks for the user.
        found: share of a table's first photos that are there.
    """

    reader: str
    option: str
    place: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    tree: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    found: float = 1.0


def setting(key: str, value: str) -> str:
    """An option of `init` that sets a key of `[data]`, quoted for a shell."""
    return f"--set 'data.{key}={value}'"


def some(names: Sequence[str]) -> str:
    """The first names, and that there are more."""
    return ", ".join(map(line_of_name, names[:SHOWN])) + (", …" if len(names) > SHOWN else "")
