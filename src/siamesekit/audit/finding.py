"""Kinds of findings: how serious each is, why it matters, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["serious", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("serious", "warning", "note")
"""`serious`: photos that cannot be used, or that make figures wrong. `warning`: likely mistakes. `note`: facts."""


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Attributes:
        severity: how serious it is.
        why: why it matters.
        mend: what to do.
        quarantined: whether `check --quarantine` lists the photos.
    """

    severity: Severity
    why: str
    mend: str
    quarantined: bool = False


_COPIES = "remove the copy, or keep it out with data.quarantine"
_LOOK = "look at the photo; remove it if it shows nothing of the animal"
KINDS: dict[str, Kind] = {
    "unreadable": Kind(
        "serious", "a run refuses the photo", "copy it again, convert it or remove it, or pass --skip-bad", True
    ),
    "copy_of_another_individual": Kind(
        "serious",
        "one photo cannot show two individuals, so one label is wrong",
        "find out whom it shows, and remove the other copy",
        True,
    ),
    "near_copy_of_another_individual": Kind(
        "serious",
        "two versions of one photo have two labels, so one may be wrong",
        "find out whom it shows, and remove the other version, unless both animals are on the photo",
        True,
    ),
    "copy_across_split": Kind(
        "serious",
        "the network is tested with a photo that it has learnt, or that is among those it searches: its figures rise "
        "without any merit",
        _COPIES,
        True,
    ),
    "near_copy_across_split": Kind(
        "serious",
        "the network is tested with another version of a photo that it has learnt or searches: its figures rise "
        "without any merit",
        _COPIES,
        True,
    ),
    "burst_across_split": Kind(
        "warning",
        "photos of one moment share light, pose and background: finding one by the other is easy",
        'split by encounter (split.by = "encounter"), or set evaluation.exclude = ["encounter"]',
    ),
    "exact_copy": Kind("warning", "a copy counts twice, and in a test it is found by its copy at once", _COPIES, True),
    "near_copy": Kind(
        "warning", "another version of a photo adds nothing, and in a test each is found by the other", _COPIES, True
    ),
    "mislabelled": Kind(
        "warning",
        "it is nearer to another individual than to its own; wrong labels teach the network to confuse the two",
        "compare it with the photos named, and correct the individual",
    ),
    "one_individual_two_names": Kind(
        "warning",
        "the network would learn to tell an animal from itself, and finding it would count as a mistake",
        "compare their photos; if they show one animal, give it one name",
    ),
    "similar_names": Kind(
        "warning",
        "names that differ only in spelling are two individuals to the network",
        "if they mean one animal, give it one name",
    ),
    "no_name": Kind(
        "warning",
        "the network would learn many animals as one individual",
        "leave the photos out, or make the individual empty: unknown (options unknown and leave_out of the reader)",
    ),
    "one_colour": Kind(
        "warning",
        "the photo shows nearly nothing",
        f"{_LOOK}; if its original has more than 8 bits, convert that again with its values scaled to the full range",
        True,
    ),
    "few_grey_levels": Kind(
        "warning",
        "nearly all detail is lost, as in a conversion of 16-bit data without scaling",
        "convert the original again, with its values scaled to the full range",
    ),
    "tiny": Kind("warning", "the network sees it enlarged, without detail", "use a larger version, or remove it"),
    "dark": Kind("warning", "marks are hardly visible", _LOOK),
    "bright": Kind("warning", "marks are hardly visible", _LOOK),
    "blurred": Kind("warning", "marks are hardly visible", _LOOK),
    "extreme_shape": Kind(
        "warning",
        "squashed to a square it is distorted; padded or cropped, little of it is left",
        "crop it to the animal",
    ),
    "few_photos": Kind(
        "note",
        "an individual with one photo makes no positive pair, and cannot be found by another photo",
        'add photos of it, or set data.singletons = "leave-out" or "keep"',
    ),
    "oversized": Kind("note", "it takes long to read, and the network sees it much smaller", "scale it down once"),
    "skipped_files": Kind(
        "note", "these files are not used", "convert them to JPEG or PNG, or move them, if they should be used"
    ),
}
"""All kinds by name, the most serious first. Their names are the keys of the table `[check.accept]`."""


@dataclass(frozen=True)
class Finding:
    """Something to look at in a data set.

    Attributes:
        kind: one of `KINDS`.
        file: name of the photo; empty if the finding is about no single photo.
        individual: the individual's name, or names.
        what: what was found, in words.
        others: names of photos to compare it with.
        remedy: what to do, if it is known better than for the kind.
    """

    kind: str
    file: str
    individual: str
    what: str
    others: tuple[str, ...] = ()
    remedy: str = ""

    @property
    def severity(self) -> Severity:
        """How serious it is."""
        return KINDS[self.kind].severity

    @property
    def why(self) -> str:
        """Why it matters."""
        return KINDS[self.kind].why

    @property
    def mend(self) -> str:
        """What to do."""
        return self.remedy or KINDS[self.kind].mend

    def as_json(self) -> dict[str, Any]:
        """All its texts by name."""
        return {
            "finding": self.kind,
            "severity": self.severity,
            "file": self.file,
            "individual": self.individual,
            "what": self.what,
            "why": self.why,
            "what_to_do": self.mend,
            "others": list(self.others),
        }


def in_words(kind: str) -> str:
    """The name of a kind in words: `near copy across split`."""
    return kind.replace("_", " ")
