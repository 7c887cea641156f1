"""Names that stand for nobody: photos whose individual is unknown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from siamesekit.wording import line_of_name

UNKNOWN = (
    "", "unknown", "unidentified", "new_whale", "new_individual", "NaN", "NA", "N/A", "None", "null", "-1", "?",
    "____",
)  # fmt: skip
"""Names that readers take for unknown individuals by default, in upper or lower case: words of data sets and programs.
"""


class UnknownNames:
    """The names that stand for nobody, in upper or lower case.

    Args:
        names: the names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._exact = frozenset(names)
        self._folded = frozenset(name.casefold() for name in self._exact)

    def __contains__(self, name: str) -> bool:
        return name in self._exact or name.casefold() in self._folded


def sentence_of_unknown(counts: Mapping[str, int]) -> list[str]:
    """A message on photos of unknown individuals by the name that they have; none if they have no name.

    >>> sentence_of_unknown({"new_whale": 30, "NA": 1, "": 7})
    ["names for unknown individuals (data.unknown): 'new_whale' on 30 photos, 'NA' on 1"]
    """
    named: Collection[tuple[str, int]] = [(name, count) for name, count in counts.items() if name]
    if not named:
        return []
    ordered = sorted(named, key=lambda each: (-each[1], each[0]))
    shown = [f"'{line_of_name(name)}' on {count}" for name, count in ordered]
    shown[0] += " photo" if ordered[0][1] == 1 else " photos"
    return [f"names for unknown individuals (data.unknown): {', '.join(shown)}"]
