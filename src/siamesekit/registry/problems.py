"""Error messages for invalid values: pydantic's errors reworded, with the given value."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterable, Mapping
from datetime import date, time
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from siamesekit.files.remote_address import RemoteFolder, without_secrets
from siamesekit.registry.signatures import type_in_words
from siamesekit.wording import shown

_WORDS = {
    "Input should be": "must be",
    "a valid integer": "a whole number",
    "a valid array": "a list",
    "a valid ": "a ",
}
"""Pydantic's wording and the library's."""


def problems_of(
    errors: Iterable[Mapping[str, Any]], kinds: Mapping[str, Any], given: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Problems with the keys of a table, in the library's wording.

    For a value of a union type, pydantic reports one error for each type; here they become one problem.

    Args:
        errors: pydantic's errors.
        kinds: types of the keys.
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
    """The types of a union in words: `a number, or [a number, a number]`."""
    return ", or ".join(dict.fromkeys(_kind_in_words(part) for part in (_parts(kind) or (kind,))))


def _kind_in_words(kind: Any) -> str:
    if parts := _parts(kind):
        return " or ".join(map(_kind_in_words, parts))
    if typing.get_origin(kind) in (list, tuple):
        inner = [_kind_in_words(part) for part in typing.get_args(kind) if part is not ...]
        return f"[{', '.join(inner)}]" if len(inner) > 1 else f"a list, each {inner[0]}"
    if typing.get_origin(kind) is typing.Annotated:
        base, *_ = typing.get_args(kind)
        plain, limits = type_in_words(base), type_in_words(kind)
        return f"{_kind_in_words(base)}{limits.removeprefix(plain)}"
    return {int: "a whole number", float: "a number", str: "a string", Path: "a string", bool: "true or false"}.get(
        kind, type_in_words(kind)
    )


def _parts(kind: Any) -> tuple[Any, ...]:
    """The types of a union except None, which TOML cannot express; empty for other types."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return ()
    return tuple(part for part in typing.get_args(kind) if part is not type(None))


def explain(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors in the library's wording, with the given value."""
    inner = ".".join(str(part) for part in error["loc"][1:])
    item = f"item {inner} " if inner else ""
    if error["type"] == "missing":
        return f"{item}is required"
    if error["type"] == "value_error":
        return f"{item}{error['ctx']['error']}"  # the value may hold a password
    what = str(error["msg"])
    if error["type"] == "too_long":
        what = f"must have at most {error['ctx']['max_length']} items"
    for pydantic_words, own_words in _WORDS.items():
        what = what.replace(pydantic_words, own_words)
    return f"{item}{what}, not {without_secrets(shown(error.get('input')))}"


def must_be(kind: Any, value: Any) -> str:
    """Message for a value whose type differs from the option's."""
    return f"must be {_alternatives(kind)}, not {without_secrets(' '.join(repr(value).split()))[:60]}"


def as_json(value: Any) -> Any:
    """JSON form of values that `json` cannot encode: text for paths and dates, numbers for arrays.

    Raises:
        TypeError: The value has no JSON form.
    """
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, RemoteFolder):
        return value.url
    if isinstance(value, date | time):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy numbers and arrays, tensors
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def is_json(value: Any) -> bool:
    """Whether a value can be encoded as JSON."""
    try:
        json.dumps(value, default=as_json)
    except (TypeError, ValueError):
        return False
    return True


def is_utf8(value: Any) -> bool:
    """Whether all text in a value is valid UTF-8, which file names need not be."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    return True
