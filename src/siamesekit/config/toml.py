"""TOML: where a key stands in a text, and plain values as TOML again."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def line_of(text: str, place: Sequence[str]) -> int | None:
    """The line (from 1) where a dotted key stands in a TOML text; of its table, where the key is not there."""
    table: list[str] = []
    best: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[([^\[\]]+)\]\s*(#.*)?$", line)
        key = re.match(r"\s*([\w.\"'-]+)\s*=", line)
        if header:
            table = [part.strip(" \"'") for part in header.group(1).split(".")]
            if table == list(place):
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
            return "{" + ", ".join(f"{bare(key)} = {spell(inner)}" for key, inner in value.items()) + "}"
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
