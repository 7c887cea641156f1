"""JSON of unknown origin: bounded in size and depth, and nothing but what JSON says."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from siamesekit.errors import ArtifactError, line_of_name
from siamesekit.files import open_regular

MAX_BYTES = 16 << 20
"""A file that is larger is refused before it is read."""
MAX_DEPTH = 64
"""Text whose tables and lists are nested deeper is refused before it is parsed."""
MAX_DIGITS = 20
"""A whole number has no more digits; those of 64 bits have at most 20."""
_STRING = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")


def read_json(path: Path, inside: Path | None = None, most: int = MAX_BYTES) -> Any:
    """The value in a JSON file.

    Args:
        path: the file.
        inside: a folder out of which no link may lead.
        most: bytes that it may have.

    Raises:
        ArtifactError: it cannot be read, is too large or too deep, is not UTF-8 or JSON, or has NaN, infinity, a number
            beyond 64 bits, or a key twice in one table.
    """
    return parse_json(_read(path, inside, most), line_of_name(str(path)))


def read_json_lines(path: Path, inside: Path | None = None, most: int = MAX_BYTES) -> list[dict[str, Any]]:
    """The tables in a file that has one a line; arguments and errors as for `read_json`."""
    where = line_of_name(str(path))
    lines = [
        parse_json(line, f"{where}, line {number}")
        for number, line in enumerate(_read(path, inside, most).split(b"\n"), 1)
        if line.strip()
    ]
    for number, line in enumerate(lines, 1):
        if not isinstance(line, dict):
            raise ArtifactError(f"{where} is damaged: its value {number} is not a table")
    return lines


def parse_json(data: bytes, where: str) -> Any:
    """The value that JSON text says; errors as for `read_json`.

    Args:
        data: UTF-8 text.
        where: its name in an error.
    """
    try:
        _check_depth(data)
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_table,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_whole,
        )
        if b"\\u" in data:  # an escape can spell half a character, which no file name and no terminal takes
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise ArtifactError(f"{where} is damaged: it is not UTF-8 text") from None
    except ValueError as error:
        raise ArtifactError(f"{where} is damaged: {error}") from None
    return value


def _read(path: Path, inside: Path | None, most: int) -> bytes:
    where = line_of_name(str(path))
    try:
        with open_regular(path, inside) as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ArtifactError(f"{where} cannot be read: {error.strerror or error}") from error
    if len(data) > most:
        raise ArtifactError(f"{where} has more than {most:,} bytes: it is no such file")
    return data


def _check_depth(data: bytes) -> None:
    """Count the levels of brackets outside strings: each pass takes the innermost level away."""
    brackets = _STRING.sub(b"", data).translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        length = len(brackets)
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return
        if len(brackets) == length:
            raise ValueError("its brackets do not match")
    if brackets:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep")


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {twice[:60]!r} stands twice in one table")
    return table


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not a number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:30]} is too large a number")
    return value


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise ValueError(f"{digits[:30]}… is too large a number")
    return int(digits)
