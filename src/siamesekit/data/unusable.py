"""Photos that cannot be used: what they are called, why, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from siamesekit.data.records import Record, Records
from siamesekit.errors import DataError
from siamesekit.wording import and_more, line_of_name

SHOWN_FINDINGS = 20


class UnusablePhoto(NamedTuple):
    """A photo that cannot be used: its name, the reason, and what to do."""

    name: str
    reason: str
    mend: str

    def __str__(self) -> str:
        return f"{line_of_name(self.name)}: {self.reason}; {self.mend}"


class UnusablePhotosError(DataError):
    """A reader's error if only single photos are at fault: missing ones, and links that are not followed.

    Args:
        message: first line.
        details: further lines.
        records: the records of the other photos.
        findings: the photos at fault.
    """

    def __init__(
        self,
        message: str = "",
        details: Iterable[str] = (),
        records: Records | Sequence[Record] = (),
        findings: Sequence[UnusablePhoto] = (),
    ) -> None:
        super().__init__(message, details)
        self.records = records if isinstance(records, Records) else Records(records)
        self.findings = tuple(findings)


def report(findings: Sequence[UnusablePhoto], photos: int) -> tuple[str, list[str]]:
    """Message on photos that cannot be used: their number, and a line for each of the first `SHOWN_FINDINGS`."""
    shown = [str(finding) for finding in findings[:SHOWN_FINDINGS]]
    more = and_more(len(findings), SHOWN_FINDINGS)
    return f"{len(findings)} of {photos} photos cannot be used", [*shown, *([f"… {more}"] if more else [])]
