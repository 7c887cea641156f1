"""Check the tables of untrusted JSON against classes that state keys, types and limits.

    class Point(CheckedTable):
        slope: Annotated[float, above(0)]
        note: str | None = None

    Point.of({"slope": 2}).slope

This is what pydantic does with exact types. Its import takes longer than all that `siamesekit.runtime` needs beside
NumPy, onnxruntime and Pillow, so the tables that a runtime reads are checked here, and there only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from siamesekit.wording import shown

Place = tuple[str | int, ...]
"""Keys and positions that lead to a value."""
Number = TypeVar("Number", int, float)
_WORDS = {
    int: "a whole number", float: "a number", str: "a string", bool: "true or false", list: "a list", dict: "a table",
}  # fmt: skip


class TableError(ValueError):
    """A table that is not as its class states.

    Attributes:
        problems: all that is wrong, each with its place.
    """

    def __init__(self, problems: Sequence[tuple[Place, str]]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, place))}: {problem}" for place, problem in problems))
        self.problems = problems


class CheckedTable:
    """A table whose class states its keys as annotations, and their defaults; additional keys are allowed, for notes.

    A type is `int`, `float` (also of a whole number, but neither NaN nor infinity), `str`, `bool`, `Any`, a `Literal`,
    a list, a `dict` with keys that are strings, a further table, or one of these or None. `Annotated` adds rules:
    functions that return the value, or another in its place, or raise `ValueError` with what is wrong.
    """

    _notes: dict[str, Any]

    @classmethod
    def of(cls, content: Any) -> Self:
        """The table with a content, as JSON has it.

        Raises:
            TableError: it is not as the class states.
        """
        problems: list[tuple[Place, str]] = []
        table = _checked(cls, content, (), problems)
        if problems:
            raise TableError(problems)
        assert isinstance(table, cls)
        return table

    def as_json(self) -> dict[str, Any]:
        """Its content with all defaults, as plain dicts and lists; additional keys come last."""
        return {key: _plain(getattr(self, key)) for key in _kinds(type(self))} | self._notes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={getattr(self, key)!r}' for key in _kinds(type(self)))})"


class Length:
    """Rule: a number of items or characters, which is checked before the items are.

    Args:
        low: smallest number.
        high: largest number.
    """

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def __call__(self, value: Any) -> Any:
        """Refuse a value that is too short or too long."""
        if not self.low <= len(value) <= self.high:
            most, limit = ("most", self.high) if len(value) > self.high else ("least", self.low)
            what = f"{'character' if isinstance(value, str) else 'item'}{'' if limit == 1 else 's'}"
            raise ValueError(f"must have at {most} {limit} {what}, not {shown(value)}")
        return value


def at_least(low: float) -> Callable[[Number], Number]:
    """Rule: a smallest value."""
    return _limit(lambda value: value >= low, f"greater than or equal to {low}")


def at_most(high: float) -> Callable[[Number], Number]:
    """Rule: a largest value."""
    return _limit(lambda value: value <= high, f"less than or equal to {high}")


def above(low: float) -> Callable[[Number], Number]:
    """Rule: a value that is not reached."""
    return _limit(lambda value: value > low, f"greater than {low}")


def _limit(holds: Callable[[float], bool], what: str) -> Callable[[Number], Number]:
    def rule(value: Number) -> Number:
        if not holds(value):
            raise ValueError(f"must be {what}, not {shown(value)}")
        return value

    return rule


def _kinds(table: type[CheckedTable]) -> dict[str, Any]:
    """The types of a table's keys, rules included."""
    return {key: kind for key, kind in get_type_hints(table, include_extras=True).items() if key != "_notes"}


def _checked(kind: Any, value: Any, place: Place, problems: list[tuple[Place, str]]) -> Any:
    """A value of a type; what is wrong with it is appended to the problems, and what is returned then is of no use."""
    base, *rules = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    before = len(problems)
    try:
        for rule in rules if type(value) is (get_origin(base) or base) else ():
            if isinstance(rule, Length):  # before the items, which may be many
                rule(value)
        value = _of_type(base, value, place, problems)
        for rule in rules if len(problems) == before else ():
            value = value if isinstance(rule, Length) else rule(value)
    except ValueError as error:
        problems.append((place, str(error)))
    return value


def _of_type(kind: Any, value: Any, place: Place, problems: list[tuple[Place, str]]) -> Any:
    """A value of a type without rules.

    Raises:
        ValueError: it is of another type.
    """
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):
        [given] = [each for each in inner if each is not NoneType]
        return None if value is None else _checked(given, value, place, problems)
    if origin is Literal:
        if not any(type(value) is type(choice) and value == choice for choice in inner):
            raise ValueError(f"must be {' or '.join(map(repr, inner))}, not {shown(value)}")
        return value
    if origin is Any:
        return value
    table = isinstance(origin, type) and issubclass(origin, CheckedTable)
    exact = dict if table else origin
    if exact is float and type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            raise ValueError(f"must be a number below 1.8e308, not {shown(value)}") from None
    if type(value) is not exact or (type(value) is float and not math.isfinite(value)):
        raise ValueError(f"must be {_WORDS[exact]}, not {shown(value)}")
    if table:
        return _table_of(origin, value, place, problems)
    if origin is list:
        return [_checked(inner[0], each, (*place, number), problems) for number, each in enumerate(value)]
    if origin is dict:
        return {
            _checked(inner[0], key, (*place, key), problems): _checked(inner[1], each, (*place, key), problems)
            for key, each in value.items()
        }
    return value


def _table_of(
    kind: type[CheckedTable], content: dict[str, Any], place: Place, problems: list[tuple[Place, str]]
) -> CheckedTable:
    table, kinds = kind(), _kinds(kind)
    for key, of_key in kinds.items():
        if key in content:
            setattr(table, key, _checked(of_key, content[key], (*place, key), problems))
        elif hasattr(kind, key):
            setattr(table, key, copy(getattr(kind, key)))
        else:
            problems.append(((*place, key), "is required"))
    table._notes = {key: value for key, value in content.items() if key not in kinds}
    return table


def _plain(value: Any) -> Any:
    if isinstance(value, CheckedTable):
        return value.as_json()
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
