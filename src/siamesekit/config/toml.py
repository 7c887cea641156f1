"""TOML: parsing within limits, line numbers of keys, and writing plain values."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from siamesekit.files.untrusted import MAX_TOML_DEPTH

TOO_DEEP = f"is nested more than {MAX_TOML_DEPTH} levels deep"
TOO_LARGE = "must be a whole number of at most 64 bits"
ENDLESS_KEY = re.compile(r"(?<![\w\"'.-])(?:[\w\"'-]+[ \t]*\.[ \t]*){1000}")
"""A key of 1000 parts or more: the time and memory of the TOML parser grow with the square of their number."""


class UnparsableError(ValueError):
    """The TOML parser failed without a line number; `line` is the likeliest one, with most matches of `much`."""

    def __init__(self, what: str, text: str, much: str) -> None:
        super().__init__(what)
        lines = [len(re.findall(much, line)) for line in text.split("\n")]
        self.line = 1 + lines.index(max(lines))


def parse_toml(text: str) -> dict[str, Any]:
    """The values of a TOML text.

    Raises:
        TOMLDecodeError: the text is not TOML; the message has the line.
        UnparsableError: the text is nested too deeply, or a number is too large.
    """
    if ENDLESS_KEY.search(text):
        raise UnparsableError(TOO_DEEP, text, r"\.")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise UnparsableError(TOO_DEEP, text, r"[\[{]") from None
    except ValueError:  # from int(), at thousands of digits
        raise UnparsableError(TOO_LARGE, text, r"\w") from None


def statements(text: str) -> Iterator[tuple[int, tuple[str, ...], bool]]:
    """Table headers and keys of a TOML text, found by regular expressions: line (from 1), place, whether a header.

    Tables of a list, `[[steps]]`, are numbered: `steps.0`.
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
    """The line (from 1) of a dotted key in a TOML text; if the key is absent, the line of its table.

    Tables of a list, `[[steps]]`, are numbered: `steps.0`.
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
    """Write nested mappings of strings, finite numbers, booleans, lists and paths as TOML; None is omitted."""

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
            items = [f"{bare(key)} = {spell(inner)}" for key, inner in value.items() if inner is not None]
            return "{" + ", ".join(items) + "}"
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
        # JSON and TOML have the same string escapes, except that JSON does not escape DEL
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")

    return "\n".join(lines(values, "")) + "\n"


def _relative(path: Path, folder: Path) -> str:
    """`path` relative to `folder`, so that a moved project still finds it.

    The path stays absolute on another drive, and if it would begin with `~`, which means a home folder in a config.
    """
    try:
        relative = Path(os.path.relpath(path, folder.resolve())).as_posix()
    except ValueError:
        return path.as_posix()
    return path.as_posix() if relative.startswith("~") else relative
