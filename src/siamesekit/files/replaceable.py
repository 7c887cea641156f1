"""Decide which files a command may replace: empty files, and earlier output of the same kind, by its content."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from siamesekit.errors import OutputError
from siamesekit.files.paths import is_plain
from siamesekit.wording import line_of_name

SCHEMA_TITLE = "siamesekit config"
"""`title` of the JSON Schema of a config."""


def refuse_what_is_not_ours(path: Path, what: str, is_ours: Callable[[Path], bool]) -> None:
    """Refuse to replace a file of the user.

    Args:
        path: path of the file to write.
        what: content of the file, for the message.
        is_ours: whether a plain file is earlier output of the same kind.

    Raises:
        OutputError: the path exists and is something else; it stays.
    """
    shown = line_of_name(str(path))
    if path.is_symlink():
        raise OutputError(f"{shown} is a link, and links are not replaced: choose its target or another file")
    if not path.exists():
        return
    if not is_plain(path):
        raise OutputError(f"{shown} is a {'folder' if path.is_dir() else 'device or pipe'}; choose another file")
    with suppress(OSError, ValueError):
        if path.stat().st_size == 0 or is_ours(path):
            return
    raise OutputError(f"{shown} exists and holds something other than {what}: it is not replaced; choose another file")


def refuse_no_file(path: Path) -> None:
    """Refuse a file to write that is a folder, or whose folder is missing.

    Raises:
        OutputError: it is one of these.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file")
    refuse_missing_folder(path)


def refuse_missing_folder(path: Path) -> None:
    """Refuse a file to write whose folder is missing.

    Raises:
        OutputError: it is missing.
    """
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}")


def refuse_full_folder(folder: Path) -> None:
    """Refuse a folder to write into that has content, or is a file.

    Raises:
        OutputError: it is one of these.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{line_of_name(str(folder))} exists and is not an empty folder; choose another")


def refuse_unwritable(path: Path, what: str, beginning: bytes) -> None:
    """Check, before any work, that a file can be written.

    Args:
        path: path of the file to write.
        what: content of the file, for the message.
        beginning: how earlier output of the same kind begins, which may be replaced.

    Raises:
        OutputError: the folder is missing, or the file holds something else.
    """

    def is_ours(file: Path) -> bool:
        with file.open("rb") as opened:
            return opened.read(len(beginning)) == beginning

    refuse_missing_folder(path)
    refuse_what_is_not_ours(path, what, is_ours)


def is_schema(path: Path) -> bool:
    """Whether a plain file is the JSON Schema of a config."""
    value = json.loads(path.read_text(encoding="utf-8"))
    return isinstance(value, dict) and value.get("title") == SCHEMA_TITLE and "$schema" in value
