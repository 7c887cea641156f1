"""TOML: read with bounds, where a key stands in a text, and plain values as TOML again."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

MAX_DEPTH = 50
"""Tables and lists nested deeper than this are refused."""
TOO_DEEP = f"is nested more than {MAX_DEPTH} deep"
TOO_LARGE = "must be a whole number of 64 bits, as TOML has them"
ENDLESS_KEY = re.compile(r"(?<![\w\"'.-])(?:[\w\"'-]+[ \t]*\.[ \t]*){1000}")
"""A key of a thousand parts: the TOML parser's time and memory grow with the square of their number."""


class UnparsableError(ValueError):
    """What the TOML parser gives up on without a place; `line` is the likeliest one, that with most of it."""

    def __init__(self, what: str, text: str, much: str) -> None:
        super().__init__(what)
        lines = [len(re.findall(much, line)) for line in text.split("\n")]
        self.line = 1 + lines.index(max(lines))


def parse_toml(text: str) -> dict[str, Any]:
    """A TOML text's values.

    Raises:
        TOMLDecodeError: it is no TOML; with the line.
        UnparsableError: it is nested too deep, or a number in it is too large.
    """
    if ENDLESS_KEY.search(text):
        raise UnparsableError(TOO_DEEP, text, r"\.")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise UnparsableError(TOO_DEEP, text, r"[\[{]") from None
    except ValueError:  # int()'s, at thousands of digits
        raise UnparsableError(TOO_LARGE, text, r"\w") from None


def line_of(text: str, place: Sequence[str]) -> int | None:
    """The line (from 1) where a dotted key stands in a TOML text; of its table, where the key is not there.

    A table of a list, `[[steps]]`, is named by its number: `steps.0`.
    """
    table: list[str] = []
    items: dict[tuple[str, ...], int] = {}
    best: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*(\[{1,2})([^\[\]]+)\]{1,2}\s*(#.*)?$", line)
        key = re.match(r"\s*([\w.\"'-]+)\s*=", line)
        if header:
            parts = [part.strip(" \"'") for part in header.group(2).split(".")]
            is_item, table = header.group(1) == "[[", []
            for depth, part in enumerate(parts, 1):
                table.append(part)
                here = tuple(table)
                if is_item and depth == len(parts):
                    items[here] = items.get(here, -1) + 1
                if here in items:
                    table.append(str(items[here]))
            if table == list(place) or (is_item and table[:-1] == list(place)):
                return number
            if table == list(place[: len(table)]):
                best = number
        elif key:
            keys = [*table, *(part.strip("\"'") for part in key.group(1).split("."))]
            if keys == list(place):
                return number
            if keys == list(place[: len(keys)]):  # an inline table
                best = number
    return best


def dump_toml(values: Mapping[str, Any], relative_to: Path | None = None) -> str:
    """Write nested mappings of strings, finite numbers, booleans, lists and paths as TOML; None is left out."""

    def lines(table: Mapping[str, Any], place: str) -> Iterator[str]:
        for key, value in table.items():
            if not isinstance(value, Mapping | None):
                yield f"{bare(key)} = {spell(value)}"
        for key, value in table.items():
            if isinstance(value, Mapping):
                yield f"\n[{place}{bare(key)}]"
                yield from lines(value, f"{place}{bare(key)}.")

    def bare(key: str) -> str:
        return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else spell(key)

    def spell(value: Any) -> str:
        if isinstance(value, Mapping):  # in a list
            there = {key: inner for key, inner in value.items() if inner is not None}
            return "{" + ", ".join(f"{bare(key)} = {spell(inner)}" for key, inner in there.items()) + "}"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float) and value == int(value) and abs(value) < 1e15:
            return f"{value:.1f}"
        if isinstance(value, int | float):
            return repr(value)
        if isinstance(value, list | tuple):
            return "[" + ", ".join(spell(item) for item in value) + "]"
        if isinstance(value, Path):
            value = value.as_posix() if relative_to is None else _relative(value, relative_to)
        # JSON's string escapes are TOML's, but for the unescaped DEL
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")

    return "\n".join(lines(values, "")) + "\n"


def _relative(path: Path, folder: Path) -> str:
    """`path` relative to `folder`, so that a moved project still finds it; absolute on another drive."""
    try:
        return Path(os.path.relpath(path, folder.resolve())).as_posix()
    except ValueError:
        return path.as_posix()
