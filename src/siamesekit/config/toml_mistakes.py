"""Where a text is no TOML: the line at which the mistake was made, its cause, and the right spelling."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection
from typing import NamedTuple

from siamesekit.config.toml import statements
from siamesekit.config.value_mistakes import COMMENTS, MINUS, SHORT_TABLE, spelt, value_mistake, without_comment

LONGEST_EXCERPT = 60
"""Characters that are shown of a line."""
LONGEST_TEXT = 1 << 18
"""Characters: in a longer text it is not looked for where the statement began that went wrong."""
LONGEST_STATEMENT = 200
"""Lines: so far back the beginning of a statement is looked for."""
KEY = r"[A-Za-z0-9_.-]+"
INIT = "siamesekit init DIR --photos FOLDER writes a config"


class Mistake(NamedTuple):
    """A line (from 1), what stands there, and what is wrong with it."""

    line: int
    excerpt: str
    what: str


def mistake_of(text: str, error: tomllib.TOMLDecodeError, lists: Collection[str] = ()) -> Mistake:
    """What was probably meant where a text is no TOML; in the parser's own words where that is not known.

    Args:
        text: that was parsed.
        error: the parser's.
        lists: keys that take lists.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    at = _line_of_error(error, lines)
    if "\r" in text.replace("\r\n", ""):
        return Mistake(1, "", "lines end with a carriage return alone: save the file with line ends of Unix or Windows")
    line, told = at, _set_twice(text, at, str(error))
    if told is None:
        began = _beginning(lines, at)
        line, told = _over_lines(lines, began, at) if began < at else (at, line_mistake(lines[at - 1], lists))
    if told is None:
        said, column = re.sub(r"\s*\(at .*\)$", "", str(error)), re.search(r"column (\d+)", str(error))
        line, told = at, f"is not TOML: {said}" + (f" (column {column[1]})" if column else "")
    return Mistake(line, shortened(lines[line - 1]), told)


def other_format(text: str) -> str | None:
    """What a text that is no TOML is instead, where it is something well known."""
    start, lines = text.lstrip(), [line for line in text.splitlines() if line.strip()]
    keys = sum(re.match(rf"\s*{KEY}\s*=(?!=)", line) is not None for line in lines)
    headers = sum(re.match(r"\s*\[{1,2}[A-Za-z]", line) is not None for line in lines)
    if start.startswith(("{", "[")) and (_is_json(start) or (start.startswith("{") and not keys)):
        return f"is JSON: in TOML a table is [data], and a key in it size = 128; {INIT}"
    if re.match(r"<(\?xml|!doctype|html|svg|\w+>)", start, re.I):
        return f"is XML or HTML, and a config is TOML; {INIT}"
    if re.match(r"(import|from) \w+|#!.*python|def \w+\(", start):
        return f'is Python, and a config is TOML; plugins = ["FILE.py"] in a config names a plugin; {INIT}'
    yaml = sum(re.match(r"\s*(- )?[\w\"'-]+:(\s|$)", line) is not None for line in lines)
    if not keys and not headers and (start.startswith(("---", "%YAML")) or yaml >= 2):
        return f"is YAML: in TOML a table is [data], and a key in it size = 128; {INIT}"
    for delimiter in ",;\t|":
        cells = {line.count(delimiter) for line in lines[:5]}
        if not keys and not headers and len(lines) > 1 and min(cells) > 0 and len(cells) == 1:
            return "is a table, and no config: siamesekit init DIR --photos TABLE.csv writes a config for its photos"
    return None


def line_mistake(line: str, lists: Collection[str] = ()) -> str | None:
    """What is wrong with a line, by its looks.

    Args:
        line: of a text that is no TOML.
        lists: keys that take lists.
    """
    line = line.strip(" \t\r")
    if re.match(r"(<{7}|={7}|>{7}|\|{7})", line):
        return "a merge of git has left its mark: keep one of the two versions"
    if line.startswith((*COMMENTS, "*/")):
        return "a comment begins with #"
    if re.match(r"\[{1,2}[^=]*$|\[{1,2}[^\[\]=]*\]{1,2}", line):
        return _header_mistake(line)
    if bracketed := re.fullmatch(rf"[({{<]\s*({KEY})\s*[)}}>]|({KEY})\s*\]", line):
        return f"a table's name stands between [ and ]: [{bracketed[1] or bracketed[2]}]"
    if colon := re.fullmatch(rf"[\"']?({KEY})[\"']?\s*(?::=|:)\s*(.*)", line):
        value = without_comment(colon[2])
        if not value:
            return f"a table's name stands between [ and ]: [{colon[1]}]"
        return f"= stands between a key and its value: {colon[1]} = {spelt(value)}"
    if line.startswith("- "):
        return "a list stands in brackets behind its key: KEY = [1, 2]"
    if other := re.match(rf"({KEY})\s*(==|=>|=<|->|<-|≔|→|＝|~)\s*(.+)", line):
        return f"= stands between a key and its value: {other[1]} = {spelt(without_comment(other[3]))}"
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
        return f"a table's name stands between [ and ]: {whole}"
    if equals and re.fullmatch(KEY, key.strip()):
        return f"a key stands on a line of its own, below {whole}"
    if rest:
        return f"only a comment may stand behind a table's name: {whole}"
    return None if whole == f"{opened}{name}{closed}" else f"a table's name is of letters, digits, - and _: {whole}"


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
    """A key or a table that is there already."""
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
                return f"[{name}] stands on line {number} already: put their keys together"
            return f"{place[-1]} is set on line {number} already: keep one of the two"
    for number, earlier, header in statements(text):
        if number < at and not header and earlier == place[: len(earlier)]:
            what = ".".join(earlier)
            return f"{what} has a value on line {number} already: put all of it there, or all of it below [{what}]"
        if number < at and place == earlier[: len(place)]:
            what = ".".join(place)
            return f"{what} is a table already, on line {number}: keep one of the two"
    return None


def _over_lines(lines: list[str], began: int, at: int) -> tuple[int, str | None]:
    """A statement that began lines before the parser gave up: most often nothing closes it."""
    value = lines[began - 1].partition("=")[2].strip()
    for quotes in ('"""', "'''"):
        if value.count(quotes) % 2:
            return began, f"the {quotes} is not closed: a string of several lines ends with {quotes}"
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
    """The line on which the statement begins that went wrong: all lines before it are TOML."""
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
    """A line as it is shown."""
    line = line.strip()
    return line if len(line) <= LONGEST_EXCERPT else f"{line[: LONGEST_EXCERPT - 3]}..."


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
