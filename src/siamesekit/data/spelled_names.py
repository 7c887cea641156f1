"""Names of files as a table spells them, and as the disk does."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cached_property

CASE, UNICODE = "case", "unicode"
"""Ways in which the spelling of a name may differ: upper and lower case, and the Unicode form of accents."""
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\[^\\]")


class SpelledNames(frozenset[str]):
    """The names in a folder, which are also found in other upper or lower case, and in the other Unicode form."""

    def on_disk(self, name: str) -> tuple[str, frozenset[str]] | None:
        """The one name that fits, and the ways in which its spelling differs; None without exactly one.

        >>> SpelledNames(["a.JPG", "b.jpg", "B.jpg"]).on_disk("A.jpg")
        ('a.JPG', frozenset({'case'}))
        >>> SpelledNames(["b.jpg", "B.jpg"]).on_disk("b.JPG") is None
        True
        """
        if name in self:
            return name, frozenset()
        alike = self._by_key.get(_key(name), [])
        composed = unicodedata.normalize("NFC", name)
        same = [each for each in alike if unicodedata.normalize("NFC", each) == composed]
        if len(same) == 1:
            return same[0], frozenset({UNICODE})
        if len(alike) != 1:
            return None
        form = unicodedata.is_normalized("NFC", alike[0]) != unicodedata.is_normalized("NFC", name)
        return alike[0], frozenset({CASE, UNICODE} if form else {CASE})

    @cached_property
    def _by_key(self) -> dict[str, list[str]]:
        names: dict[str, list[str]] = {}
        for name in self:
            names.setdefault(_key(name), []).append(name)
        return names


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def is_of_windows(path: str) -> bool:
    """Whether a path is written as on Windows: with backslashes, or with a drive."""
    return "\\" in path or _DRIVE.match(path) is not None


def windows_ends(path: str, dropped: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The paths with slashes that a Windows path may mean, each with the beginning that it lacks.

    A path without a drive means itself. Of a path with a drive, such as `C:\\Users\\me\\photos\\1.jpg`, all ends may be
    meant: first those that lack a beginning that other paths lacked, then the longest.

    Args:
        path: the path.
        dropped: beginnings that other paths lacked.

    >>> [end for _, end in windows_ends("C:\\\\a\\\\b\\\\1.jpg", [])]
    ['a/b/1.jpg', 'b/1.jpg', '1.jpg']
    """
    text = path.replace("\\", "/")
    if not _DRIVE.match(path):
        yield "", text
        return
    for start in dropped:
        if text.startswith(start):
            yield start, text[len(start) :]
    at = 1 if text.startswith("//") else 0
    while (at := text.find("/", at) + 1) > 0:
        if text[at : at + 1] != "/":
            yield text[:at], text[at:]
