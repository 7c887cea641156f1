"""Read untrusted JSON: bounded in size and depth, and strict."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from siamesekit.errors import ArtifactError
from siamesekit.files.untrusted import MAX_DIGITS, MAX_JSON_DEPTH, MAX_TEXT_BYTES, open_regular
from siamesekit.wording import line_of_name

_STRING = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")


def read_json(path: Path, inside: Path | None = None, most: int = MAX_TEXT_BYTES) -> Any:
    """Read the value of a JSON file.

    Args:
        path: path of the file.
        inside: folder that must contain the file after links are resolved.
        most: maximum size in bytes.

    Raises:
        ArtifactError: the file cannot be read, is too large or too deep, is not UTF-8 or not JSON, or has NaN,
            infinity, a number beyond 64 bits, or a duplicate key in one table.
    """
    return parse_json(_read(path, inside, most), line_of_name(str(path)))


def read_json_lines(path: Path, inside: Path | None = None, most: int = MAX_TEXT_BYTES) -> list[dict[str, Any]]:
    """Read the tables of a JSON Lines file; arguments and errors are those of `read_json`."""
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
    """Parse JSON text; errors are those of `read_json`.

    Args:
        data: UTF-8 text.
        where: name of the text in an error.
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
        if b"\\u" in data:  # an escape may be half a surrogate pair, which is not valid UTF-8
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
        raise ArtifactError(f"{where} has more than {most:,} bytes, which is too large")
    return data


def _check_depth(data: bytes) -> None:
    """Check the nesting of brackets outside strings; each pass removes the innermost level."""
    brackets = _STRING.sub(b"", data).translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(MAX_JSON_DEPTH):
        length = len(brackets)
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return
        if len(brackets) == length:
            raise ValueError("its brackets do not match")
    if brackets:
        raise ValueError(f"it is nested more than {MAX_JSON_DEPTH} deep")


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {twice[:60]!r} appears twice in one table")
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
