"""Explain values that are not TOML, and suggest the correct spelling."""

from __future__ import annotations

import re
from collections.abc import Callable

FANCY = {**dict.fromkeys("“”„‟«»″＂", '"'), **dict.fromkeys("‘’‚‛‹›′`´", "'")}
"""Typographic quotes, each with the straight quote."""
MINUS = dict.fromkeys("−–—‐‑", "-")
"""Dashes of word processors, each with the hyphen."""
TRUTH = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
INFINITE = ("nan", "inf", "infinity")
NOTHING = ("none", "null", "nil", "undefined", "n/a", "~")
NUMBER = r"[+-]?\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?"
STRING = r'"(?:[^"\\]|\\.)*"|\'[^\']*\''
SHORT_TABLE = "a table in { } must be on one line; write a longer one as [TABLE.KEY] with one key per line"
COMMENTS = ("//", "/*", "--", "%", "<!--", ";")
"""Marks that begin a comment in other languages."""


def without_comment(value: str) -> str:
    """The text of a value without the comment after it."""
    found = re.match(rf"(?:{STRING}|[^#\"']|[\"'])*?(?=\s+#|\s*$)", value)
    return (found.group() if found else value).strip(" \t")


def quoted(text: str) -> str:
    """A text as a TOML string, in double quotes unless it contains a quote or a backslash."""
    if "\\" not in text and '"' not in text:
        return f'"{text}"'
    if "'" not in text:
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def spelt(value: str) -> str:
    """The value in correct TOML: itself if it is valid, else a boolean, a number or a string."""
    value = value.strip().rstrip(",;").strip()
    if re.fullmatch(rf"{NUMBER}|{STRING}|true|false|\[.*\]|\{{.*\}}", value):
        return value
    if value.lower() in TRUTH:
        return TRUTH[value.lower()]
    return _number_meant(value) or quoted(value.strip("\"'"))


def value_mistake(value: str, is_list: bool = False) -> str | None:
    """Why a value is not TOML, and the correct spelling; None if unknown.

    Args:
        value: text after the `=`, without a comment.
        is_list: whether the key takes a list.
    """
    value = value.strip(" \t")
    if not value:
        return "a value is missing after ="
    if is_list and (mistake := list_mistake(value)):
        return mistake
    for rule in RULES:
        mistake = rule(value)
        if mistake:
            return mistake
    return None


def number_mistake(value: str) -> str | None:
    """Why a text is not a number or a boolean, and the correct spelling; None if unknown."""
    value = value.strip()
    return _word(value) or _number(value)


def path_mistake(text: str) -> str:
    """The two ways to write a Windows path."""
    return (
        f"a backslash in double quotes begins an escape: write '{text}' in single quotes, or "
        f'"{text.replace(chr(92), "/")}"'
    )


def _fancy_quotes(value: str) -> str | None:
    bare = re.sub(STRING, "", value)
    if not re.search(rf"(?:^|[\[,\s])[{''.join(FANCY)}]", bare):
        return None
    return f"TOML needs straight quotes: {''.join(FANCY.get(mark, mark) for mark in value)}"


def _invisible(value: str) -> str | None:
    bare = re.sub(STRING, "", value)
    for mark in bare:
        if mark not in " \t" and (mark.isspace() or not mark.isprintable()):
            return f"the character U+{ord(mark):04X}, which is invisible, is in the value: remove it"
    return None


def _backslashes(value: str) -> str | None:
    strings = [found for found in re.findall(r'"([^"]*)"?', value) if "\\" in found]
    if not strings or re.search(r'"(?:[^"\\]|\\[btnfr"\\]|\\u[0-9a-fA-F]{4})*"\s*$', value):
        return None
    return path_mistake(strings[0])


def _word(value: str) -> str | None:
    if value.lower() in TRUTH:
        return f"write true or false: {TRUTH[value.lower()]}"
    if value.lower() in NOTHING:
        return "TOML has no null value: leave the key out"
    if value.lower().lstrip("+-") in INFINITE:
        return "a number must be finite"
    return None


def _number(value: str) -> str | None:
    meant, both = _number_meant(value), re.fullmatch(r"([+-]?[1-9]\d{0,2}),(\d{3})", value)
    if both:
        return (
            f"write a number without thousands separators, and a decimal number with a point: {both[1]}{both[2]} or "
            f"{both[1]}.{both[2]}"
        )
    if meant is None:
        return None
    if re.fullmatch(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?", value):
        return f"write a decimal number with a point: {meant}"
    if value.endswith("%"):
        return f"a share must be from 0 to 1: {meant}"
    if re.match(r"[+-]?\.|[+-]?\d+\.(?!\d)", value):
        return f"write digits on both sides of a decimal point: {meant}"
    if re.fullmatch(r"[+-]?0\d+", value):
        return f"write a whole number without leading zeros: {meant}"
    if re.match(r"[+-]?\d+\s*(/|\^|\*\*)", value):
        return f"TOML does not calculate: write the result, {meant}"
    if any(mark in MINUS for mark in value):
        return f"write a minus sign as a hyphen: {meant}"
    if re.fullmatch(r"[+-]?\d{1,3}(?:[.,\s'’]\d{3})+(?:[.,]\d+)?", value):
        return f"write a number without thousands separators: {meant}"
    return f"write a number without a unit or other text: {meant}"


def _number_meant(value: str) -> str | None:
    """The number that a text probably means; None if it means none."""
    plain = "".join(MINUS.get(mark, mark) for mark in value)
    if re.fullmatch(r"[+-]?\d{1,3}(?:,\d{3}){2,}(?:\.\d+)?|[+-]?[1-9]\d{0,2},\d{3}\.\d+", plain):
        return plain.replace(",", "")
    if re.fullmatch(r"[+-]?\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?|[+-]?\d{1,3}\.\d{3},\d+", plain):
        return plain.replace(".", "").replace(",", ".")
    if re.fullmatch(r"[+-]?\d{1,3}(?:[\s'’]\d{3})+", plain):
        return re.sub(r"\D", "", plain) if plain[0].isdigit() else plain[0] + re.sub(r"\D", "", plain)
    if re.fullmatch(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?", plain):
        return plain.replace(",", ".")
    if share := re.fullmatch(r"([+-]?\d+(?:[.,]\d+)?)\s*%", plain):
        return f"{float(share[1].replace(',', '.')) / 100:g}"
    if re.fullmatch(r"[+-]?(?:\.\d+|\d+\.)(?:[eE][+-]?\d+)?", plain):
        return re.sub(r"\.(?!\d)", ".0", re.sub(r"(?<!\d)\.", "0.", plain))
    if re.fullmatch(r"[+-]?0\d+", plain):
        return str(int(plain))
    if ratio := re.fullmatch(r"(\d{1,9})\s*/\s*(\d{1,9})", plain):
        return f"{int(ratio[1]) / int(ratio[2]):.6g}" if int(ratio[2]) else None
    if power := re.fullmatch(r"10\s*(?:\^|\*\*)\s*([+-]?\d{1,2})", plain):
        return f"1e{power[1]}"
    if power := re.fullmatch(r"(\d{1,3})\s*(?:\^|\*\*)\s*(\d{1,2})", plain):
        return str(int(power[1]) ** int(power[2]))
    if plain != value and re.fullmatch(NUMBER, plain):
        return plain
    if united := re.fullmatch(r"([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(?:[A-Za-zµ°€$£×²³]+\d*|\")", plain):
        return united[1]
    return None


def list_mistake(value: str) -> str | None:
    """Why a text with missing or wrong brackets or commas is not a list, and the correct spelling."""
    item = rf"(?:{NUMBER}|{STRING}|[\w./-]+)"
    if re.fullmatch(rf"{item}(?:\s*[,;]\s*{item})+", value):
        return f"write a list in brackets: {_listed(re.split(r'[,;]', value))}"
    if inside := re.fullmatch(r"[(<{]([^=:]*)[)>}]", value):
        return f"write a list in square brackets: {_listed(re.split(r'[,;]', inside[1]))}"
    if (inside := re.fullmatch(r"\[([^\[\]]*)\]", value)) is None:
        return _open_list(value)
    if re.search(r",\s*,|^\s*,", inside[1]):
        return "an item is missing before a comma of the list"
    if re.fullmatch(rf"\s*{item}(?:\s*[;\s]\s*{item})+\s*", inside[1]):
        return f"write commas between the items of a list: {_listed(re.findall(item, inside[1]))}"
    if all(re.fullmatch(r"\s*[^\s\"'\[\]{}]+\s*|\s*", part) for part in inside[1].split(",")):
        return f"write text in quotes: {_listed(inside[1].split(','))}"
    return None


def _listed(items: list[str]) -> str:
    return f"[{', '.join(spelt(item) for item in items if item.strip())}]"


def _half_quoted(value: str) -> str | None:
    """Mistakes with the quotes of a string."""
    if re.fullmatch(STRING, value) or value.startswith(('"""', "'''")):
        return None
    first, last, inner = value[0], value[-1], value.strip("\"'")
    if first in "\"'" and (last not in "\"'" or len(value) == 1) and first not in value[1:]:
        return f"the string is not closed: {quoted(inner)}"
    if first in "\"'" and last in "\"'" and first != last:
        return f"end a string with the quote that begins it: {quoted(inner)}"
    if last in "\"'" and first not in "\"'[{(" and last not in value[:-1]:
        return f"a string begins with a quote: {quoted(inner)}"
    if prefixed := re.fullmatch(r"[rRfFbBuU]{1,2}([\"'])(.*)\1", value):
        return f"remove the letter before the quotes: {quoted(prefixed[2])}"
    if first == last == "'" and "'" in value[1:-1] and re.search(r"\w'\w", value[1:-1]):
        return f"a string in single quotes cannot contain ': {quoted(value[1:-1])}"
    if first == last == '"' and re.fullmatch(r'"[^"=]*(?:(?<!\\)"[^"=,+]*)+"', value):
        return f'a " in double quotes is written \\": {quoted(value[1:-1])}'
    return None


def _more_behind(value: str) -> str | None:
    """Text after a complete value."""
    found = re.match(rf"({STRING}|\[[^\[\]]*\]|\{{[^{{}}]*\}}|true\b|false\b|{NUMBER}(?![\w.]))\s*(.+)", value)
    if found is None:
        return None
    first, rest = found[1], found[2]
    if rest in (",", ";", "."):
        return f"remove the {rest} at the end of the line: {first}"
    if rest.startswith(COMMENTS):
        return f"a comment begins with #: {first}  # {rest.lstrip('/*-%<!; ')}".rstrip("# ")
    if re.match(r"[,;]?\s*[\w.-]+\s*=", rest):
        return f"two keys on one line: write {rest.lstrip(',; ')!r} on the next line"
    return f"only a comment may follow a value: {first}  # {rest}"


def _inline_table(value: str) -> str | None:
    if not value.startswith("{"):
        return None
    if ":" in re.sub(STRING, "", value):
        return f"write = between a key and its value: {_equals(value)}"
    if not value.endswith("}"):
        return SHORT_TABLE
    if re.search(r",\s*\}$", value):
        return f"remove the comma after the last key of a table in {{ }}: {value[:-1].rstrip(', ')}}}"
    return None


def _equals(table: str) -> str:
    """`{"a": 1}` as `{a = 1}`."""
    return re.sub(r"(?:[\"']([\w-]+)[\"']|([\w-]+))\s*:\s*(?=[\w\"'\[{.+-])", r"\1\2 = ", table)


def _call(value: str) -> str | None:
    found = re.fullmatch(r"[A-Za-z_][\w.]*\(\s*(.*?)\s*\)", value)
    return f"TOML has no functions: write only the value, {spelt(found[1]) if found[1] else '…'}" if found else None


def _calculation(value: str) -> str | None:
    if re.match(r"\d{4}-\d\d?-\d\d?", value):
        return f"not a valid date; write text in quotes: {quoted(value)}"
    if re.fullmatch(r"[\d.eE()+*/^\s-]*\d\s*[*/+^-]+\s*[(\d][\d.eE()+*/^\s-]*", value):
        return "TOML does not calculate: write the result"
    return None


def _bare(value: str) -> str | None:
    if not re.fullmatch(r"[^\s\"'\[\]{}=,<>][^\"\[\]{}=]*", value) or not re.search(r"[^\W\d]", value):
        return None
    variable = "; variables are not filled in" if re.search(r"\$\{?\w|%\w+%", value) else ""
    return f"write text in quotes{variable}: {quoted(value.strip(chr(39)))}"


def _open_list(value: str) -> str | None:
    bare = re.sub(STRING, "", value)
    if bare.count("[") > bare.count("]"):
        return "the [ is not closed: a list ends with ]"
    return "a list begins with [" if bare.count("[") < bare.count("]") else None


RULES: tuple[Callable[[str], str | None], ...] = (
    _fancy_quotes, _backslashes, _word, _number, _invisible, list_mistake, _half_quoted, _open_list, _calculation,
    _more_behind, _inline_table, _call, _bare,
)  # fmt: skip
"""The rules, in the order in which they are tried."""
