"""A photo on its way to a catalogue's answers: its record, and the digest of its file."""

from __future__ import annotations

from dataclasses import dataclass

from siamesekit.data.records import Record
from siamesekit.gallery.enrolling import box_text


@dataclass(frozen=True)
class Sighting:
    """A photo that is searched for, or looked at again.

    Attributes:
        record: its record.
        sha256: digest of its file; empty if it is no file.
    """

    record: Record
    sha256: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """What makes it the same photo: the content of its file and the box."""
        return self.sha256, box_text(self.record.box)
