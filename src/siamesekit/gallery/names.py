"""Names: of individuals, one spelling each on one line; of photos, each different."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

from siamesekit.errors import DataError

LONGEST = 200
"""Most characters of a name."""
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Unicode categories of control characters, marks of direction, surrogates, and ends of lines."""


def composed(name: str) -> str:
    """A name in composed form (NFC), without spaces around it."""
    return unicodedata.normalize("NFC", name).strip()


def checked_name(name: str) -> str:
    """The name of an individual in composed form (NFC), without spaces around it.

    >>> checked_name(" Zoe\\u0301 ") == "Zo\\u00e9"
    True

    Raises:
        DataError: the name is empty, too long, or has characters that cannot be seen.
    """
    plain = composed(name)
    if not plain:
        raise DataError("the name of an individual is empty; give each individual a name")
    if len(plain) > LONGEST:
        raise DataError(f"the name {plain[:40]!r}… has {len(plain)} characters; at most {LONGEST} are allowed")
    hidden = [character for character in plain if unicodedata.category(character) in _INVISIBLE]
    if hidden:
        raise DataError(
            f"the name {plain!r} has characters that cannot be seen, such as {hidden[0]!r}; write it without them"
        )
    return plain


def unique_names(photos: Sequence[tuple[str, str]], numbers: Sequence[int]) -> list[str]:
    """A name for each photo that no other has: its name, else its path, else its path with its number.

    Args:
        photos: names and paths of the photos.
        numbers: number of each photo.

    >>> unique_names([("1.jpg", "a/1.jpg"), ("1.jpg", "b/1.jpg"), ("2.jpg", "a/2.jpg")], [7, 8, 9])
    ['a/1.jpg', 'b/1.jpg', '2.jpg']
    """
    names = Counter(name for name, _ in photos)
    chosen = [name if names[name] == 1 else path for name, path in photos]
    several = Counter(chosen)
    return [
        each if several[each] == 1 else f"{path} #{number}"
        for each, (_, path), number in zip(chosen, photos, numbers, strict=True)
    ]
