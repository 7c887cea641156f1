"""Patterns of photos' paths, from which the individual and further facts are taken."""

from __future__ import annotations

import re

INDIVIDUAL, GROUP, ENCOUNTER = "individual", "group", "encounter"
_TOKEN = re.compile(r"\{([^{}]*)\}|(\*\*/)|(\*)|(/)|([^{}*/]+)|([{}])")
_NAMED = "(?P<"


class PathPattern:
    """A pattern of paths below a folder of photos.

    A template such as `{site}/{year}/{individual}/` or `{individual}_{side}_*` names the parts of a path. `{name}`
    and `*` stand for any text without a slash, as long as possible; `**/` for any number of folders, also none. A
    template that ends in a slash is about the folders, and photos may lie in them at any depth; any other is about the
    whole path, without the suffix of the photo's name. Upper and lower case are different.

    A pattern with `(?P<individual>…)` is a regular expression for the whole path without the suffix.

    The value of `{encounter}`, if it is the whole name of a folder, is the path of that folder, because a folder `e1`
    may be at every site.

    Args:
        pattern: the template or regular expression.

    Raises:
        ValueError: the pattern cannot be understood, or names no individual; it says why.

    >>> PathPattern("{site}/{individual}/").fields_of("north/seal07/left/3.jpg")
    {'site': 'north', 'individual': 'seal07'}
    >>> PathPattern("{individual}_*").fields_of("seal07_3.jpg")
    {'individual': 'seal07'}
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._folders = pattern.endswith("/") and _NAMED not in pattern
        expression = pattern if _NAMED in pattern else _expression(pattern)
        try:
            self._compiled = re.compile(expression)
        except re.error as error:
            raise ValueError(f"pattern {pattern!r} is no regular expression: {error}") from None
        self.names = tuple(self._compiled.groupindex)
        """Names of the fields."""
        if INDIVIDUAL not in self.names:
            raise ValueError(f"pattern {pattern!r} names no individual: write {{individual}} for the part that does")

    def __repr__(self) -> str:
        return f"PathPattern({self.pattern!r})"

    def fields_of(self, path: str) -> dict[str, str] | None:
        """The fields of a photo's path, with slashes, below the folder of photos; None if it does not match."""
        found = self._compiled.fullmatch(path if self._folders else _without_suffix(path))
        if found is None:
            return None
        fields = {name: text.strip() for name, text in found.groupdict(default="").items()}
        if ENCOUNTER in fields:
            start, end = found.span(ENCOUNTER)
            if (start == 0 or path[start - 1] == "/") and path[end : end + 1] == "/":
                fields[ENCOUNTER] = path[:end]
        return fields


def _expression(template: str) -> str:
    """The regular expression of a template.

    Raises:
        ValueError: the template cannot be understood.
    """
    parts: list[str] = []
    open_ended = False
    for name, anywhere, star, slash, text, brace in (found.groups() for found in _TOKEN.finditer(template)):
        if brace:
            raise ValueError(f"pattern {template!r} has a single {brace!r}: write {{individual}}, {{site}}, …")
        if name is not None or star:
            if open_ended:
                raise ValueError(f"pattern {template!r} has nothing between two of its parts: write what divides them")
            open_ended = True
            if name is not None and not (name.isidentifier() and name.isascii()):
                raise ValueError(f"pattern {template!r}: {name!r} is no name: use letters, digits and underscores")
            parts.append("[^/]*" if name is None else f"(?P<{name}>[^/]+)")
            continue
        open_ended = False
        parts.append("(?:[^/]+/)*" if anywhere else "/" if slash else re.escape(text))
    names = re.findall(r"\(\?P<(\w+)>", "".join(parts))
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"pattern {template!r} has {{{name}}} twice: give the second another name")
    return "".join(parts) + (".+" if template.endswith("/") else "")


def _without_suffix(path: str) -> str:
    """A path without the suffix of its last part."""
    stem, point, _ = path.rpartition(".")
    return stem if point and "/" not in path[len(stem) :] else path
