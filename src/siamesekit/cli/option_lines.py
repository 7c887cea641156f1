"""An option, or a key of a table, as a line of TOML."""

from __future__ import annotations

import types
import typing
from pathlib import Path
from typing import Any

from siamesekit.config.toml import dump_toml
from siamesekit.signatures import Parameter, in_words


def line_of(option: Parameter) -> str:
    """An option with its default, as a comment; one that must be set with some value, and its type behind it.

    What is not set by default has no spelling, so its type stands there.
    """
    if option.required:
        return f"{assigned(option.name, _example(option.annotation))}  # required: {in_words(option.annotation)}"
    if option.default is None:
        return f"# {option.name}: none; or {in_words(option.annotation).replace(' | None', '')}"
    return f"# {assigned(option.name, option.default)}"


def assigned(name: str, value: Any) -> str:
    """`name = value`."""
    return dump_toml({name: value}).strip()


def _example(annotation: Any) -> Any:
    """Some value of a type, for a key that must be there."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        lowest = next((mark.ge for mark in inner[1:] if hasattr(mark, "ge")), None)
        above = next((mark.gt for mark in inner[1:] if hasattr(mark, "gt")), None)
        below = next((mark.lt for mark in inner[1:] if hasattr(mark, "lt")), None)
        if lowest is not None or above is None:
            return inner[0](lowest) if lowest is not None else _example(inner[0])
        return inner[0](above + 1) if below is None else (above + below) / 2
    if origin is typing.Literal:
        return inner[0]
    if origin in (typing.Union, types.UnionType):
        return _example(next(part for part in inner if part is not type(None)))
    if origin in (list, tuple):
        return [_example(part) for part in inner if part is not ...]
    return {bool: False, int: 1, float: 1.0, Path: "PATH"}.get(annotation, "…")
