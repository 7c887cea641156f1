"""Which files a command may replace: an empty one, and its own output of that kind, known by its content."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from siamesekit.errors import OutputError, line_of_name
from siamesekit.paths import is_plain

SCHEMA_TITLE = "siamesekit config"
"""`title` of the JSON Schema of a config."""


def refuse_what_is_not_ours(path: Path, what: str, is_ours: Callable[[Path], bool]) -> None:
    """Refuse to replace a file of the user's.

    Args:
        path: what is to be written.
        what: is written there, for the message.
        is_ours: whether a plain file is this library's own output of that kind.

    Raises:
        OutputError: something else is there; it stays.
    """
    shown = line_of_name(str(path))
    if path.is_symlink():
        raise OutputError(f"{shown} is a link, and links are not replaced: name the file itself, or another one")
    if not path.exists():
        return
    if not is_plain(path):
        raise OutputError(f"{shown} is a {'folder' if path.is_dir() else 'device or pipe'}; name another file")
    with suppress(OSError, ValueError):
        if path.stat().st_size == 0 or is_ours(path):
            return
    raise OutputError(f"{shown} is there and holds something other than {what}: it is not replaced; name another file")


def is_schema(path: Path) -> bool:
    """Whether a plain file is the JSON Schema of a config."""
    value = json.loads(path.read_text(encoding="utf-8"))
    return isinstance(value, dict) and value.get("title") == SCHEMA_TITLE and "$schema" in value
