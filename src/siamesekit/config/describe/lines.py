"""An option or a key of a table as a line of TOML."""

from __future__ import annotations

import types
import typing
from pathlib import Path
from typing import Any

from siamesekit.config.toml import dump_toml
from siamesekit.registry.signatures import Parameter, type_in_words


def option_line(option: Parameter) -> str:
    """An option as a line of TOML: a comment with the default, or for a required option an example and its type.

    If the default is None, which TOML cannot express, the comment has the type.
    """
    if option.required:
        return f"{assigned(option.name, _example(option.annotation))}  # required: {type_in_words(option.annotation)}"
    if option.default is None:
        return f"# {option.name}: none; or {type_in_words(option.annotation).replace(' | None', '')}"
    return f"# {assigned(option.name, option.default)}"


def assigned(name: str, value: Any) -> str:
    """`name = value`."""
    return dump_toml({name: value}).strip()


def _example(annotation: Any) -> Any:
    """An example value of a type, for a required key."""
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
