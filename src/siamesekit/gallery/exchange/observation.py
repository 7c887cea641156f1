"""Observations: animals on photos, with who named them, on their way into a format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from siamesekit.data.records import Record
from siamesekit.wording import first_of

Method = Literal["", "human", "machine"]
SHOWN = 3
"""Names shown of a list in a note."""


@dataclass(frozen=True)
class Observation:
    """An animal on a photo.

    Attributes:
        record: record of the photo; its source is a file, and its individual is empty if unknown.
        sha256: digest of the file; empty if it was not computed.
        method: who has named the individual; empty if that is not known.
        by: name of the person or program; empty if it is not known.
        at: when, in UTC, ISO 8601; empty if it is not known.
        probability: probability that the individual is right; None without one.
    """

    record: Record
    sha256: str = ""
    method: Method = ""
    by: str = ""
    at: str = ""
    probability: float | None = None

    @property
    def file(self) -> Path:
        """The photo's file."""
        assert isinstance(self.record.source, Path)
        return self.record.source

    def attribute(self, name: str) -> str:
        """An attribute of the photo; empty if it is unknown."""
        return self.record.attributes.get(name, "")

    def with_attributes(self, attributes: dict[str, str]) -> Observation:
        """The same observation with other attributes."""
        return replace(self, record=replace(self.record, attributes=attributes))


def note_of(names: list[str], what: str) -> list[str]:
    """A sentence on some photos, `3 photos …: a, b, c`; none without photos.

    >>> note_of(["a.jpg", "b.jpg"], "have no date"), note_of([], "have no date")
    (['2 photos have no date: a.jpg, b.jpg'], [])
    """
    return [f"{len(names)} photos {what}: {first_of(names, SHOWN)}"] if names else []
