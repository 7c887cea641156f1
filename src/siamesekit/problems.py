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
    if error["type"] == "missing":
        return "is required"
    inner = ".".join(str(part) for part in error["loc"][1:])
    what = str(error["msg"])
    for theirs, ours in _WORDS.items():
        what = what.replace(theirs, ours)
    return f"{'item ' + inner + ' ' if inner else ''}{what}, not {shown(error.get('input'))}"


def shown(value: Any) -> str:
    """A value as JSON, 60 characters of it at most."""
    given = json.dumps(value, default=str)
    return given if len(given) <= 60 else given[:57] + "..."
