"""The audit: all findings on a data set, without those that the config accepts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from siamesekit.audit.bursts import burst_findings
from siamesekit.audit.copies import Copies, copies_of, copy_findings
from siamesekit.audit.finding import KINDS, SEVERITIES, Finding, Severity, in_words
from siamesekit.audit.gathering import Gathering
from siamesekit.audit.names import name_findings
from siamesekit.audit.quality import quality_findings
from siamesekit.audit.suspects import Neighbours, near_by_embedding, suspect_findings
from siamesekit.data.records import Record

WORDS: dict[Severity, tuple[str, str]] = {
    "serious": ("serious finding", "serious findings"),
    "warning": ("warning", "warnings"),
    "note": ("note", "notes"),
}
"""Severities in words: one, and several."""


@dataclass(frozen=True)
class AuditSettings:
    """What an audit knows of the run.

    Attributes:
        parts: part of the split of each photo, by name; empty if there is no split.
        size: side of the network's images; None if unknown.
        encounter: column of the encounters.
        gap_seconds: shortest time between two encounters.
        skipped: messages on files that the reader skips.
        accept: accepted findings: names of photos or individuals, or patterns of them, by kind.
    """

    parts: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    encounter: str = "encounter"
    gap_seconds: float = 3600.0
    skipped: tuple[str, ...] = ()
    accept: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Audit:
    """What was found in a data set.

    Attributes:
        photos: number of photos.
        findings: findings that are not accepted, the most serious kinds first.
        accepted: number of accepted findings by kind.
        copies: groups of copies, accepted or not.
    """

    photos: int
    findings: tuple[Finding, ...]
    accepted: Mapping[str, int]
    copies: Copies

    def counts(self) -> dict[str, int]:
        """Number of findings by kind, the most serious first."""
        counts = Counter(finding.kind for finding in self.findings)
        return {kind: counts[kind] for kind in KINDS if counts[kind]}

    def severities(self) -> dict[Severity, int]:
        """Number of findings by severity."""
        counts = Counter(finding.severity for finding in self.findings)
        return {severity: counts[severity] for severity in SEVERITIES if counts[severity]}

    def sentence(self) -> str:
        """The number of findings in words: `1 serious finding and 3 warnings in 40 photos; 2 are accepted`."""
        numbers = [f"{count} {WORDS[severity][count > 1]}" for severity, count in self.severities().items()]
        accepted = sum(self.accepted.values())
        more = f"; {accepted} more {'is' if accepted == 1 else 'are'} accepted" if accepted else ""
        if not numbers:
            return f"No findings in {self.photos} photos{more}"
        return f"{_and(numbers)} in {self.photos} photos{more}"

    def told(self, most: Severity = "serious") -> list[str]:
        """A line for each kind of this severity."""
        return [
            f"{in_words(kind)}: {count} ({KINDS[kind].why})"
            for kind, count in self.counts().items()
            if KINDS[kind].severity == most
        ]

    def as_json(self) -> dict[str, Any]:
        """All findings."""
        return {**self.summary(), "findings": [finding.as_json() for finding in self.findings]}

    def summary(self) -> dict[str, Any]:
        """The numbers of findings and of accepted ones, by kind."""
        return {"photos": self.photos, "found": self.counts(), "accepted": dict(self.accepted)}


def audit(
    records: Sequence[Record], gathered: Gathering, settings: AuditSettings, near: Neighbours | None = None
) -> Audit:
    """Everything that is found in a data set.

    Args:
        records: records of the N photos.
        gathered: facts of the photos.
        settings: what is known of the run.
        near: the nearest photos of those photos in `embedded`, in the space of a model; None without a model.
    """
    facts, parts = gathered.facts, settings.parts
    embedded = [] if near is None else [each for each in records if each.individual and each.name in facts]
    alike = [] if near is None else near_by_embedding(embedded, near)
    copies = copies_of(records, facts, parts, alike)
    found = [
        *quality_findings(records, facts, gathered.unreadable, settings.size),
        *copy_findings(records, copies, parts),
        *burst_findings(records, facts, parts, settings.encounter, settings.gap_seconds),
        *name_findings(records),
        *([] if near is None else suspect_findings(embedded, near)),
        *(Finding("skipped_files", "", "", message) for message in settings.skipped),
    ]
    order = {kind: number for number, kind in enumerate(KINDS)}
    found.sort(key=lambda finding: order[finding.kind])
    left = [finding for finding in found if not is_accepted(finding, settings.accept)]
    counts = Counter(finding.kind for finding in found)
    counts.subtract(finding.kind for finding in left)
    return Audit(len(records), tuple(left), {kind: counts[kind] for kind in KINDS if counts[kind]}, copies)


def is_accepted(finding: Finding, accept: Mapping[str, Sequence[str]]) -> bool:
    """Whether a pattern of the finding's kind matches its photo or its individual; `*` stands for any characters.

    >>> is_accepted(Finding("dark", "w_1/night.jpg", "w_1", ""), {"dark": ["w_1/*"]})
    True
    """
    names = [finding.file, finding.individual, *finding.individual.split(" | ")]
    return any(
        name and (name == pattern or fnmatchcase(name, pattern))
        for pattern in accept.get(finding.kind, ())
        for name in names
    )


def _and(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
