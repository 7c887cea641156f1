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


def statements(text: str) -> Iterator[tuple[int, tuple[str, ...], bool]]:
    """The table headers and keys of a TOML text, by their looks: line (from 1), place, and whether it is a header.

    A table of a list, `[[steps]]`, is named by its number: `steps.0`.
    """
    table: list[str] = []
    items: dict[tuple[str, ...], int] = {}
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
            yield number, tuple(table), True
        elif key:
            yield number, (*table, *(part.strip("\"'") for part in key.group(1).split("."))), False


def line_of(text: str, place: Sequence[str]) -> int | None:
    """The line (from 1) where a dotted key stands in a TOML text; of its table, where the key is not there.

    A table of a list, `[[steps]]`, is named by its number: `steps.0`.
    """
    wanted, best = tuple(place), None
    for number, here, header in statements(text):
        first_of_list = header and here[-1].isdecimal() and here[:-1] == wanted
        if here == wanted or first_of_list:
            return number
        if here == wanted[: len(here)]:  # its table, or an inline one
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
    """`path` relative to `folder`, so that a moved project still finds it; absolute on another drive.

    So is one that would begin with `~`, which a config takes for a home folder.
    """
    try:
        relative = Path(os.path.relpath(path, folder.resolve())).as_posix()
    except ValueError:
        return path.as_posix()
    return path.as_posix() if relative.startswith("~") else relative
