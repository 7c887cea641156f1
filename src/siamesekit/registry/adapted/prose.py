"""Conversion of reStructuredText docstrings to plain text with Markdown code marks."""

from __future__ import annotations

import re
from collections.abc import Iterator

LEFT_OUT = {"image", "figure", "versionadded", "versionchanged", "autosummary", "toctree"}
"""Directives that are dropped together with the text indented below them."""
BARE = {"code", "code-block", "highlight", "sourcecode"}
"""Directives of which only the text indented below them is kept."""
DIRECTIVE = re.compile(r"(?P<indent> *)\.\. (?P<name>[\w-]+)::[ ]*(?P<rest>.*)")
COMMENT = re.compile(r"(?P<indent> *)\.\.(?: .*)?")
TARGET = re.compile(r"^ *\.\. _(?P<name>(?:\\:|[^:\n])+):\s*(?P<url>https?://\S+) *\n?", re.MULTILINE)
ROLE = re.compile(r":(?:\w+:)?(?P<role>\w+):`(?P<text>[^`]+)`")
LINK = re.compile(r"`(?P<text>[^`<]+?)\s*<(?P<url>[^`>]+)>`__?")
REFERENCE = re.compile(r"`(?P<name>[^`]+)`_\b|`(?P<quoted>[^`]+)`_(?!\w)")
SYMBOLS = {
    "infty": "∞", "lambda": "λ", "eta": "η", "pi": "π", "alpha": "α", "beta": "β", "gamma": "γ", "theta": "θ",
    "sigma": "σ", "delta": "δ", "epsilon": "ε", "mu": "μ", "tau": "τ", "cdot": "·", "times": "×", "leq": "≤",
    "le": "≤", "geq": "≥", "ge": "≥", "in": "∈", "sum": "Σ", "left": "", "right": "",
}  # fmt: skip


def plain(text: str) -> str:
    """Convert a reStructuredText docstring to plain text; a docstring without such markup is unchanged.

    Roles become the code that they name (``:class:`~torch.Tensor` `` becomes `Tensor`), links their text followed by
    the address, ``code`` Markdown code, and formulas Unicode text. Directives become a heading (`Note:`), or are
    dropped if they mean nothing in plain text, such as images. Indents are kept, because `Args:` depends on them.
    """
    targets = {_words(match["name"].replace("\\:", ":")): match["url"] for match in TARGET.finditer(text)}
    text = "\n".join(_without_directives(TARGET.sub("", text).splitlines()))
    text = LINK.sub(lambda match: f"{_words(match['text'])} ({match['url']})", text)
    text = ROLE.sub(_named, text)
    text = re.sub(r"\$\$?([^$]*\\[^$]*?)\$\$?", lambda match: formula(match[1]), text)
    text = re.sub(r"^( *)(.*\\[a-zA-Z]+\{.*)$", lambda match: match[1] + formula(match[2]), text, flags=re.MULTILINE)
    text = re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL)
    text = REFERENCE.sub(lambda match: _referred(match["name"] or match["quoted"], targets), text)
    text = re.sub(r"\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*", r"\1", text)
    text = re.sub(r"^( *)#\. ", r"\1- ", text, flags=re.MULTILINE)
    text = re.sub(r"(?<=[\w\"')]):: *$", ":", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def formula(tex: str) -> str:
    r"""A TeX formula as one line of text: `\frac{1}{2} \eta_{max}` becomes `1/2 η_max`."""
    text = re.sub(r"\\(text|mathrm|mathbf|mathcal|operatorname)\b", "", " ".join(tex.split()))
    text = re.sub(r"\\([a-zA-Z]+)", lambda match: SYMBOLS.get(match[1], f"\\{match[1]}"), text)
    text = re.sub(r"\\[,;! ]", " ", text).replace("\\\\", " ")
    text = re.sub(r"\\(?!frac\b)(?=[a-zA-Z])", "", text)
    before = ""
    while before != text:  # from the innermost braces outwards
        before = text
        text = re.sub(r"\\frac ?\{([^{}]*)\} ?\{([^{}]*)\}", lambda m: f"{_in_one(m[1])}/{_in_one(m[2])} ", text)
        text = re.sub(r"([_^])\{([^{}]*)\}", lambda match: match[1] + _in_one(match[2]), text)
        if text == before:  # the remaining braces only group
            text = re.sub(r"\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\s+([),])", r"\1", re.sub(r"\(\s+", "(", text))
    return " ".join(text.split())


def _in_one(part: str) -> str:
    """A part of a formula, in brackets unless it is a number or a name."""
    part = part.strip()
    return part if re.fullmatch(r"[\w.]+|\(.*\)", part) else f"({part})"


def _without_directives(lines: list[str]) -> Iterator[str]:
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        directive = DIRECTIVE.fullmatch(line)
        if directive is None and COMMENT.fullmatch(line) is None:
            yield line
            continue
        indent = len(line) - len(line.lstrip())
        block = []
        while number < len(lines) and (not lines[number].strip() or _indent(lines[number]) > indent):
            block.append(lines[number])
            number += 1
        if directive is None:
            continue
        name, rest = directive["name"], directive["rest"]
        if name == "math":
            yield " " * (indent + 4) + formula(" ".join([rest, *block]))
            yield ""
        elif name not in LEFT_OUT:
            if name == "rubric":
                yield " " * indent + rest
            elif name not in BARE:
                yield f"{' ' * indent}{name.replace('-', ' ').capitalize()}:{' ' if rest else ''}{rest}"
            yield from (each for each in block if not re.match(r" *:\w+:( |$)", each))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _named(match: re.Match[str]) -> str:
    """A role as code: the last part of `~package.Name`, the title of `title <name>`, or a formula as text."""
    text = _words(match["text"])
    if match["role"] == "math":
        return f"`{formula(text)}`"
    title = re.fullmatch(r"(.+?)\s*<[^>]+>", text)
    if title:
        return f"`{title[1]}`"
    return f"`{text.rpartition('.')[2] if text.startswith('~') else text}`"


def _referred(name: str, targets: dict[str, str]) -> str:
    url = targets.get(_words(name))
    return f"{_words(name)} ({url})" if url else _words(name)


def _words(text: str) -> str:
    return " ".join(text.split())
