"""Explain texts that are not TOML: the line of the mistake, its cause, and the correct spelling."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection
from typing import NamedTuple

from siamesekit.config.toml import statements
from siamesekit.config.value_mistakes import COMMENTS, MINUS, SHORT_TABLE, spelt, value_mistake, without_comment

LONGEST_EXCERPT = 60
"""Longest part of a line in a message, in characters."""
LONGEST_TEXT = 1 << 18
"""Longest text, in characters, in which the beginning of a faulty statement is searched for."""
LONGEST_STATEMENT = 200
"""Number of lines that are searched backwards for the beginning of a statement."""
KEY = r"[A-Za-z0-9_.-]+"
INIT = "siamesekit init DIR --photos FOLDER writes a config"


class Mistake(NamedTuple):
    """Line of a mistake (from 1), its text, and an explanation."""

    line: int
    excerpt: str
    what: str


def mistake_of(text: str, error: tomllib.TOMLDecodeError, lists: Collection[str] = ()) -> Mistake:
    """Explain why a text is not TOML; if the cause is unknown, with the message of the parser.

    Args:
        text: the text that was parsed.
        error: error of the parser.
        lists: keys that take lists.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    at = _line_of_error(error, lines)
    if "\r" in text.replace("\r\n", ""):
        return Mistake(1, "", "lines end with a carriage return only: save the file with Unix or Windows line endings")
    line, what = at, _set_twice(text, at, str(error))
    if what is None:
        began = _beginning(lines, at)
        line, what = _over_lines(lines, began, at) if began < at else (at, line_mistake(lines[at - 1], lists))
    if what is None:
        said, column = re.sub(r"\s*\(at .*\)$", "", str(error)), re.search(r"column (\d+)", str(error))
        line, what = at, f"is not TOML: {said}" + (f" (column {column[1]})" if column else "")
    return Mistake(line, shortened(lines[line - 1]), what)


def other_format(text: str) -> str | None:
    """Name the format of a text that is not TOML, such as JSON or YAML; None if unknown."""
    start, lines = text.lstrip(), [line for line in text.splitlines() if line.strip()]
    keys = sum(re.match(rf"\s*{KEY}\s*=(?!=)", line) is not None for line in lines)
    headers = sum(re.match(r"\s*\[{1,2}[A-Za-z]", line) is not None for line in lines)
    if start.startswith(("{", "[")) and (_is_json(start) or (start.startswith("{") and not keys)):
        return f"is JSON: in TOML a table is written [data], and a key in it size = 128; {INIT}"
    if re.match(r"<(\?xml|!doctype|html|svg|\w+>)", start, re.I):
        return f"is XML or HTML; a config must be TOML; {INIT}"
    if re.match(r"(import|from) \w+|#!.*python|def \w+\(", start):
        return f'is Python; a config must be TOML; plugins = ["FILE.py"] in a config names a plugin; {INIT}'
    yaml = sum(re.match(r"\s*(- )?[\w\"'-]+:(\s|$)", line) is not None for line in lines)
    if not keys and not headers and (start.startswith(("---", "%YAML")) or yaml >= 2):
        return f"is YAML: in TOML a table is written [data], and a key in it size = 128; {INIT}"
    for delimiter in ",;\t|":
        cells = {line.count(delimiter) for line in lines[:5]}
        if not keys and not headers and len(lines) > 1 and min(cells) > 0 and len(cells) == 1:
            return "is a table of photos, not a config: siamesekit init DIR --photos TABLE.csv writes a config for them"
    return None


def line_mistake(line: str, lists: Collection[str] = ()) -> str | None:
    """Explain the mistake in a line; None if unknown.

    Args:
        line: line of a text that is not TOML.
        lists: keys that take lists.
    """
    line = line.strip(" \t\r")
    if re.match(r"(<{7}|={7}|>{7}|\|{7})", line):
        return "a conflict marker of git: keep one of the two versions"
    if line.startswith((*COMMENTS, "*/")):
        return "a comment begins with #"
    if re.match(r"\[{1,2}[^=]*$|\[{1,2}[^\[\]=]*\]{1,2}", line):
        return _header_mistake(line)
    if bracketed := re.fullmatch(rf"[({{<]\s*({KEY})\s*[)}}>]|({KEY})\s*\]", line):
        return f"write a table's name between [ and ]: [{bracketed[1] or bracketed[2]}]"
    if colon := re.fullmatch(rf"[\"']?({KEY})[\"']?\s*(?::=|:)\s*(.*)", line):
        value = without_comment(colon[2])
        if not value:
            return f"write a table's name between [ and ]: [{colon[1]}]"
        return f"write = between a key and its value: {colon[1]} = {spelt(value)}"
    if line.startswith("- "):
        return "write a list in brackets after its key: KEY = [1, 2]"
    if other := re.match(rf"({KEY})\s*(==|=>|=<|->|<-|≔|→|＝|~)\s*(.+)", line):
        return f"write = between a key and its value: {other[1]} = {spelt(without_comment(other[3]))}"
    key, equals, value = line.partition("=")
    key, value = key.strip(" \t"), without_comment(value)
    if not equals:
        return _no_equals(without_comment(line))
    return _key_mistake(key) or value_mistake(value, key.rpartition(".")[2] in lists)


def _no_equals(line: str) -> str | None:
    if re.fullmatch(KEY, line):
        return f"a value is missing: {line} = VALUE, or [{line}] if it is a table's name"
    if parts := re.fullmatch(rf"({KEY})\s+(.+)", line):
        return f"= is missing between a key and its value: {parts[1]} = {spelt(parts[2])}"
    return None


def _header_mistake(line: str) -> str | None:
    opened, name, closed, rest = re.match(r"(\[{1,2})\s*([^\[\]#]*)(\]*)\s*(.*)", line).groups()  # type: ignore[union-attr]
    name, rest = name.strip(), "" if rest.startswith("#") else rest.strip()
    if not name:
        return "a table's name is missing: [data]"
    key, equals, _ = rest.partition("=")
    whole = re.sub(r"\s*[/\\:>]\s*|\.{2,}|\s*\.\s*", ".", name).strip("'\". ").replace(" ", "_")
    whole = f"{opened}{whole}{']' * len(opened)}"
    if len(opened) != len(closed):
        return f"write a table's name between [ and ]: {whole}"
    if equals and re.fullmatch(KEY, key.strip()):
        return f"write a key on its own line, below {whole}"
    if rest:
        return f"only a comment may follow a table's name: {whole}"
    return (
        None if whole == f"{opened}{name}{closed}" else f"a table's name consists of letters, digits, - and _: {whole}"
    )


def _key_mistake(key: str) -> str | None:
    if not key:
        return "a key is missing before ="
    part = r"(?:\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+)"
    if re.fullmatch(rf"{part}(?:[ \t]*\.[ \t]*{part})*", key):
        return None
    plain = "".join(MINUS.get(mark, mark) for mark in key.strip("\"'.$@-").strip())
    plain = re.sub(r"[\s/]+", "_", re.sub(r"\.{2,}", ".", plain))
    return "a key is one word of letters a to z, digits, - and _" + (f": {plain}" if re.fullmatch(KEY, plain) else "")


def _set_twice(text: str, at: int, said: str) -> str | None:
    """Explain a key or a table that is defined twice."""
    if not re.search("overwrite|declare|redefine|mutate|[Dd]uplicate", said):
        return None
    found = [place for number, place, _ in statements(text) if number == at]
    if not found:
        return None
    place = found[-1]
    for number, earlier, header in statements(text):
        if number < at and earlier == place:
            if header:
                name = ".".join(part for part in place if not part.isdecimal())
                return f"[{name}] is already on line {number}: merge the two tables"
            return f"{place[-1]} is already set on line {number}: keep one of the two"
    for number, earlier, header in statements(text):
        if number < at and not header and earlier == place[: len(earlier)]:
            what = ".".join(earlier)
            return f"{what} already has a value on line {number}: write all of its keys there, or all below [{what}]"
        if number < at and place == earlier[: len(place)]:
            what = ".".join(place)
            return f"{what} is already a table, on line {number}: keep one of the two"
    return None


def _over_lines(lines: list[str], began: int, at: int) -> tuple[int, str | None]:
    """Explain a statement of several lines, which in most cases is not closed."""
    value = lines[began - 1].partition("=")[2].strip()
    for quotes in ('"""', "'''"):
        if value.count(quotes) % 2:
            return began, f"the {quotes} is not closed: a multi-line string ends with {quotes}"
    if value.startswith("{"):
        return began, SHORT_TABLE
    here = lines[at - 1].strip()
    if not here or here.startswith("[") or re.match(rf"{KEY}\s*=", here) or at == len(lines):
        return began, "the [ is not closed: a list ends with ]"
    item = without_comment(here).rstrip(",").rstrip("]").strip()
    before = without_comment(lines[at - 2]).strip()
    if not before.endswith((",", "[")) and not before.startswith("#"):
        return at, "a comma is missing before this item"
    return at, value_mistake(item)


def _line_of_error(error: tomllib.TOMLDecodeError, lines: list[str]) -> int:
    found = re.search(r"at line (\d+)", str(error))
    filled = [number for number, line in enumerate(lines, 1) if line.strip()]
    return min(int(found[1]), len(lines)) if found else (filled[-1] if filled else 1)


def _beginning(lines: list[str], at: int) -> int:
    """First line of the faulty statement: all lines before it are TOML."""
    if sum(map(len, lines[:at])) > LONGEST_TEXT:
        return at
    for start in range(at - 1, max(-1, at - LONGEST_STATEMENT), -1):
        try:
            tomllib.loads("\n".join(lines[:start]))
        except (ValueError, RecursionError):
            continue
        return start + 1
    return at


def shortened(line: str) -> str:
    """A line shortened for a message."""
    line = line.strip()
    return line if len(line) <= LONGEST_EXCERPT else f"{line[: LONGEST_EXCERPT - 3]}..."


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
