"""Types, ranges and values as people say them, and tables of Markdown."""

from __future__ import annotations

import re
import types
import typing
from pathlib import Path
from typing import Any

from siamesekit.config import dump_toml
from siamesekit.options import Nested
from siamesekit.registry.signatures import Parameter

WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path", type(None): "not set"}
SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def type_in_words(annotation: Any) -> str:
    """An option's type as people say it: its range is `range_of`."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        base, *marks = inner
        kinds = [mark.kind for mark in marks if isinstance(mark, Nested)]
        if not kinds:
            return type_in_words(base)
        plural = f"{kinds[0]}es" if kinds[0].endswith("s") else f"{kinds[0]}s"
        article = "an" if kinds[0][0] in "aeiou" else "a"
        return f"tables of {plural}" if typing.get_origin(base) is list else f"table of {article} {kinds[0]}"
    if origin is typing.Literal:
        choices = [f"`{toml(choice)}`" for choice in inner]
        return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"
    if origin in (typing.Union, types.UnionType):
        words = dict.fromkeys(type_in_words(part) for part in sorted(inner, key=lambda part: part is type(None)))
        return " or ".join(words)
    if origin in (tuple, list):
        parts = [part for part in inner if part is not ...]
        if not parts:
            return "list"
        many = f"{type_in_words(parts[0])}s"
        return f"list of {len(parts)} {many}" if origin is tuple and ... not in inner else f"list of {many}"
    return WORDS.get(annotation, getattr(annotation, "__name__", "any value"))


def range_of(annotation: Any) -> str:
    """What values of an option's type are admitted, `> 0` say; empty where all are."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        limits = [
            f"{sign}\N{NO-BREAK SPACE}{getattr(mark, key):,.9g}"
            for mark in inner[1:]
            for key, sign in SIGNS.items()
            if hasattr(mark, key)
        ]
        return ", ".join(limits) or range_of(inner[0])
    if origin in (typing.Union, types.UnionType, tuple, list):
        return "; ".join(dict.fromkeys(found for part in inner if part is not ... and (found := range_of(part))))
    return ""


def with_range(words: str, annotation: Any) -> str:
    """A type in words and its range: `number, ≥ 0`."""
    limits = range_of(annotation)
    return f"{words}, {limits}" if limits else words


def default_in_words(option: Parameter) -> str:
    """An option's default as a table's cell has it."""
    if option.required:
        return "required"
    return "not set" if option.default is None else cell(f"`{toml(option.default)}`")


def toml(value: Any) -> str:
    """A value as TOML spells it."""
    if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
        return str(value)
    return dump_toml({"x": value}).strip().removeprefix("x = ") if value is not None else "not set"


def table(titles: list[str], rows: list[list[str]]) -> list[str]:
    """A table's lines, without the columns in which nothing stands."""
    kept = [number for number in range(len(titles)) if any(row[number] for row in rows)]
    return [f"| {' | '.join(row[number] for number in kept)} |" for row in [titles, ["---"] * len(titles), *rows]]


def cell(text: str) -> str:
    """Text in a table's cell: one line, no bar that would end the cell; spaces that hold words together stay."""
    return re.sub(r"[ \t\n]+", " ", text).strip().replace("|", "\\|")
