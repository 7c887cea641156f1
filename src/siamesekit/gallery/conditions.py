"""Conditions on photos, such as `site = 'North' and side = 'left'`; parsed here, never given to SQL.

condition   = conjunction { "or" conjunction }
conjunction = term { "and" term }
term        = "not" term | "(" condition ")" | column operator value | column [ "not" ] "in" "(" value, … ")"
column      = word or "quoted"          operator = "=" | "!=" | "<>" | "<" | "<=" | ">" | ">="
value       = 'quoted' or number; a quote inside is doubled
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from siamesekit.errors import UserError

Mask = NDArray[np.bool_]
"""Which photos meet a condition, `[N]`."""
Lookup = Callable[[str], Sequence[str]]
"""The values of a column, one for each of the N photos, empty where unknown. Raises UserError for unknown columns."""
FORMS = "write it like: site = 'North' and side = 'left'"
DEEPEST = 50
"""Most nested parentheses and negations."""
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TOKEN = re.compile(
    r"""\s*(?: (?P<value>'(?:[^']|'')*' | [+-]?\d+(?:\.\d+)?(?![\w.])) | (?P<column>"(?:[^"]|"")*" | [^\W\d]\w*)
    | (?P<operator><=|>=|<>|!=|=|<|>) | (?P<mark>[(),]) )""",
    re.VERBOSE,
)
_WORDS = {"and", "or", "not", "in"}


class Condition(Protocol):
    """A parsed condition."""

    def mask(self, lookup: Lookup) -> Mask:
        """Which photos meet the condition, `[N]`."""


def parse(text: str) -> Condition:
    """Parse a condition.

    Raises:
        UserError: the text is no condition; it names the place.
    """
    return _Parser(text).whole()


@dataclass(frozen=True)
class _Comparison:
    column: str
    operator: str
    value: str

    def mask(self, lookup: Lookup) -> Mask:
        wanted, compare = _number(self.value), OPERATORS[self.operator]
        answers: dict[str, bool] = {}  # columns have few distinct values
        values = lookup(self.column)
        for value in values:
            if value not in answers:
                number = _number(value)
                both = wanted is not None and number is not None
                ordered = self.operator not in ("=", "!=", "<>")
                if not value and ordered:
                    answers[value] = False  # unknown is neither more nor less
                elif both and ordered:
                    answers[value] = compare(number, wanted)
                else:
                    answers[value] = compare(value, self.value)
        return np.fromiter((answers[value] for value in values), np.bool_)


@dataclass(frozen=True)
class _Among:
    column: str
    values: frozenset[str]

    def mask(self, lookup: Lookup) -> Mask:
        return np.fromiter((value in self.values for value in lookup(self.column)), np.bool_)


@dataclass(frozen=True)
class _Not:
    inner: Condition

    def mask(self, lookup: Lookup) -> Mask:
        return ~self.inner.mask(lookup)


@dataclass(frozen=True)
class _All:
    parts: tuple[Condition, ...]

    def mask(self, lookup: Lookup) -> Mask:
        met = self.parts[0].mask(lookup)
        for part in self.parts[1:]:
            met = met & part.mask(lookup)
        return met


@dataclass(frozen=True)
class _Any:
    parts: tuple[Condition, ...]

    def mask(self, lookup: Lookup) -> Mask:
        met = self.parts[0].mask(lookup)
        for part in self.parts[1:]:
            met = met | part.mask(lookup)
        return met


class _Parser:
    """A parser by recursive descent.

    Args:
        text: the condition.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        place = 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            if found is None:
                raise self._error(place + len(text[place:]) - len(text[place:].lstrip()))
            group = str(found.lastgroup)
            kind, word = group, found[group]
            if group == "column" and word.lower() in _WORDS:
                kind, word = "word", word.lower()
            self.tokens.append((kind, word, found.start(group)))
            place = found.end()
        self.next = 0
        self.depth = 0

    def whole(self) -> Condition:
        """The condition, which takes all of the text."""
        condition = self._any()
        if self.next < len(self.tokens):
            raise self._unexpected()
        return condition

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._take("word", "or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else _Any(tuple(parts))

    def _all(self) -> Condition:
        parts = [self._term()]
        while self._take("word", "and"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else _All(tuple(parts))

    def _term(self) -> Condition:
        self.depth += 1
        if self.depth > DEEPEST:
            raise UserError(f"the condition is nested more than {DEEPEST} deep; {FORMS}")
        try:
            if self._take("word", "not"):
                return _Not(self._term())
            if self._take("mark", "("):
                inner = self._any()
                self._need("mark", ")")
                return inner
            return self._comparison()
        finally:
            self.depth -= 1

    def _comparison(self) -> Condition:
        column = _unquoted(self._need("column"))
        negated = self._take("word", "not") is not None
        if negated or self._peek("word", "in"):
            self._need("word", "in")
            self._need("mark", "(")
            values = [_unquoted(self._need("value"))]
            while self._take("mark", ","):
                values.append(_unquoted(self._need("value")))
            self._need("mark", ")")
            among = _Among(column, frozenset(values))
            return _Not(among) if negated else among
        return _Comparison(column, self._need("operator"), _unquoted(self._need("value")))

    def _peek(self, kind: str, word: str | None = None) -> bool:
        return (
            self.next < len(self.tokens)
            and self.tokens[self.next][0] == kind
            and (word is None or self.tokens[self.next][1] == word)
        )

    def _take(self, kind: str, word: str | None = None) -> str | None:
        if not self._peek(kind, word):
            return None
        self.next += 1
        return self.tokens[self.next - 1][1]

    def _need(self, kind: str, word: str | None = None) -> str:
        found = self._take(kind, word)
        if found is None:
            raise self._unexpected(word or f"a {kind}")
        return found

    def _unexpected(self, wanted: str = "and, or, or the end") -> UserError:
        place = self.tokens[self.next][2] if self.next < len(self.tokens) else len(self.text)
        return self._error(place, wanted)

    def _error(self, place: int, wanted: str | None = None) -> UserError:
        found = repr(self.text[place : place + 20]) if self.text[place:].strip() else "the end"
        expected = "" if wanted is None else f"expected {wanted}, "
        return UserError(f"the condition {self.text!r} cannot be read: {expected}found {found}; {FORMS}")


def _unquoted(token: str) -> str:
    if token[:1] in ("'", '"'):
        return token[1:-1].replace(token[0] * 2, token[0])
    return token


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
