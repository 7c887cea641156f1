"""What is wrong with a value, in words: pydantic's errors in ours, and the value that was given."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterable, Mapping
from datetime import date, time
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from siamesekit.signatures import in_words

_WORDS = {
    "Input should be": "must be",
    "a valid integer": "a whole number",
    "a valid array": "a list",
    "a valid ": "a ",
}
"""Pydantic's words and ours."""


def problems_of(
    errors: Iterable[Mapping[str, Any]], kinds: Mapping[str, Any], given: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """What is wrong with the keys of a table, in our words.

    Pydantic tells of a value that may be of several types once for each, by names of its own; here it is one problem.

    Args:
        errors: pydantic's.
        kinds: the keys' types.
        given: the table.

    Returns:
        Pairs (key, what is wrong).
    """
    by_key: dict[str, list[Mapping[str, Any]]] = {}
    for error in errors:
        by_key.setdefault(str(next(iter(error["loc"]), "options")), []).append(error)
    found = []
    for key, of_key in by_key.items():
        if all(isinstance(part, int) for error in of_key for part in error["loc"][1:]):
            found += [(key, explain(error)) for error in of_key]
        else:
            found.append((key, f"must be {_alternatives(kinds[key])}, not {shown(given.get(key))}"))
    return found


def _alternatives(kind: Any) -> str:
    """`a number, or a list of a number and a number`: what a value of a union may be."""
    return ", or ".join(dict.fromkeys(_kind_in_words(part) for part in (_parts(kind) or (kind,))))


def _kind_in_words(kind: Any) -> str:
    if parts := _parts(kind):
        return " or ".join(map(_kind_in_words, parts))
    if typing.get_origin(kind) in (list, tuple):
        inner = [_kind_in_words(part) for part in typing.get_args(kind) if part is not ...]
        return f"[{', '.join(inner)}]" if len(inner) > 1 else f"a list, each {inner[0]}"
    if typing.get_origin(kind) is typing.Annotated:
        base, *_ = typing.get_args(kind)
        plain, limits = in_words(base), in_words(kind)
        return f"{_kind_in_words(base)}{limits.removeprefix(plain)}"
    return {int: "a whole number", float: "a number", str: "a string", Path: "a string", bool: "true or false"}.get(
        kind, in_words(kind)
    )


def _parts(kind: Any) -> tuple[Any, ...]:
    """The types of a union but None, which TOML cannot say; none of another type."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return ()
    return tuple(part for part in typing.get_args(kind) if part is not type(None))


def explain(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors in our words, with the value that was given."""
    inner = ".".join(str(part) for part in error["loc"][1:])
    item = f"item {inner} " if inner else ""
    if error["type"] == "missing":
        return f"{item}is required"
    what = str(error["msg"])
    if error["type"] == "too_long":
        what = f"must have at most {error['ctx']['max_length']} items"
    for theirs, ours in _WORDS.items():
        what = what.replace(theirs, ours)
    return f"{item}{what}, not {shown(error.get('input'))}"


def must_be(kind: Any, value: Any) -> str:
    """What is wrong with a value of another type than an option's."""
    return f"must be {_alternatives(kind)}, not {' '.join(repr(value).split())[:60]}"


def as_json(value: Any) -> Any:
    """What stands in JSON for a value that has no form there: text for a path or a date, numbers for an array's.

    Raises:
        TypeError: nothing does.
    """
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, date | time):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays, and tensors
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def is_json(value: Any) -> bool:
    """Whether a value has a form in JSON."""
    try:
        json.dumps(value, default=as_json)
    except (TypeError, ValueError):
        return False
    return True


def is_utf8(value: Any) -> bool:
    """Whether all text in a value can be spelt in UTF-8; a file's name need not be."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: Any) -> str:
    """A value as JSON, 60 characters of it at most."""
    given = json.dumps(value, default=str)
    return given if len(given) <= 60 else given[:57] + "..."
