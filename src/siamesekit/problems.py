"""What is wrong with a value, in words: pydantic's errors in ours, and the value that was given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_WORDS = {
    "Input should be": "must be",
    "a valid integer": "a whole number",
    "a valid array": "a list",
    "a valid ": "a ",
}
"""Pydantic's words and ours."""


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


def shown(value: Any) -> str:
    """A value as JSON, 60 characters of it at most."""
    given = json.dumps(value, default=str)
    return given if len(given) <= 60 else given[:57] + "..."
