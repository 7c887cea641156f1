"""Findings on the names of individuals: spellings of one name, names of nobody, and individuals with few photos."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise

from siamesekit.audit.finding import Finding
from siamesekit.data.records import Record
from siamesekit.data.unknown_names import UNKNOWN

FEWEST = 2
"""Fewest photos of an individual that make a positive pair."""
NOBODY = frozenset({
    *(name.casefold() for name in UNKNOWN if name),
    "??", "???", "-", "--", "_", "__", ".", "nil", "#n/a", "<na>", "unkown", "unk", "not identified", "unnamed",
    "no name", "noname", "nameless", "no id", "noid", "new", "new whale", "new individual", "new animal",
    "undetermined", "indet", "indeterminate", "unassigned", "unlabelled", "unlabeled", "unclassified", "other",
    "others", "misc", "various", "tbd", "todo", "to do", "test", "untitled", "new folder", "default", "unbekannt",
    "inconnu", "desconocido", "unclear", "unsure", "background",
})  # fmt: skip
"""Names that stand for no individual, in lower case, with spaces for `_` and `-` between words: those that readers take
for unknown individuals, and others that may be the name of an animal, about which the audit only asks."""
Steps = tuple[tuple[str, str], ...]


def name_findings(records: Sequence[Record]) -> list[Finding]:
    """Findings on the names of the individuals, in the order of the names.

    Args:
        records: records of all photos; those of unknown individuals do not count.
    """
    photos = Counter(record.individual for record in records if record.individual)
    first = {record.individual: record.name for record in reversed(records)}
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(photos):
        groups[spelling(name)[-1][1]].append(name)
    found = []
    for names in groups.values():
        if len(names) > 1:
            shown = " and ".join(f"{_quoted(name)} ({_photos(photos[name])})" for name in names)
            others = tuple(first[name] for name in names)
            what = f"{shown} differ only in {' and '.join(differences(names))}"
            found.append(Finding("similar_names", "", " | ".join(names), what, others))
    for name in sorted(photos):
        if is_nobody(name):
            what = f"{_quoted(name)} ({_photos(photos[name])}) reads like a name for unknown animals"
            found.append(Finding("no_name", "", name, what, (first[name],)))
        elif photos[name] < FEWEST:
            found.append(Finding("few_photos", first[name], name, _photos(photos[name])))
    return found


def spelling(name: str) -> Steps:
    """A name after each step that removes what may be a matter of spelling, with what the step removes."""
    composed = unicodedata.normalize("NFC", name)
    plain = unicodedata.normalize("NFKC", composed)
    visible = "".join(each for each in plain if unicodedata.category(each) not in ("Cf", "Cc") or each.isspace())
    spaced = " ".join(visible.split())
    folded = unicodedata.normalize("NFKC", spaced.casefold())
    number = re.sub(r"(?<![\d.])0+(?=\d)", "", folded)
    whole = re.sub(r"^(\d+)\.0+$", r"\1", number)
    return (
        ("the form of accents", composed),
        ("the form of characters", plain),
        ("invisible characters", visible),
        ("spaces", spaced),
        ("case", folded),
        ("leading zeros", number),
        ("“.0”", whole),
    )


def differences(names: Sequence[str]) -> list[str]:
    """In what names of one spelling differ: the steps that make them more alike."""
    before: Sequence[str] = names
    found = []
    steps = [spelling(name) for name in names]
    for number, (what, _) in enumerate(steps[0]):
        after = [each[number][1] for each in steps]
        if any(_alike(*pair) > _alike(*old) for pair, old in zip(pairwise(after), pairwise(before), strict=True)):
            found.append(what)
        before = after
    return found


def _alike(first: str, second: str) -> float:
    return SequenceMatcher(None, first, second, autojunk=False).ratio()


def is_nobody(name: str) -> bool:
    """Whether a name usually stands for no individual."""
    plain = spelling(name)[4][1]
    return plain in NOBODY or " ".join(re.split(r"[\s_-]+", plain)).strip() in NOBODY


def _quoted(name: str) -> str:
    """A name in quotes; characters that look like nothing, or like others, are written as their codes."""
    visible = (
        each if each.isprintable() and not unicodedata.combining(each) else f"\\u{ord(each):04x}" for each in name
    )
    return f"“{''.join(visible)}”"


def _photos(count: int) -> str:
    return f"{count} photo{'' if count == 1 else 's'}"
