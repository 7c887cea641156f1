"""The fenced code blocks of a page, in order, with what is said about them."""

from __future__ import annotations

import re
from dataclasses import dataclass

FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+?) -->\n+)?^```(?P<language>\w+)(?P<rest>[^\n]*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
RUNNABLE = {"python", "sh", "bash", "toml"}


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        language: `python`, `sh` or `toml`.
        title: the file that it is to be written to; empty where it is run as it stands.
        code: with its last line's end.
        line: of its fence in the page, from 1.
        reason: why it is not run; empty where it is.
    """

    language: str
    title: str
    code: str
    line: int
    reason: str


def blocks_of(text: str) -> list[Block]:
    """The page's runnable blocks; those of other languages, such as `text`, are left out."""
    found = []
    for match in FENCE.finditer(text):
        language = match["language"]
        if language not in RUNNABLE:
            continue
        title = re.search(r'title="([^"]+)"', match["rest"])
        line = text.count("\n", 0, match.start("language")) + 1
        found.append(Block("sh" if language == "bash" else language, title[1] if title else "", match["code"], line,
                           match["reason"] or ""))  # fmt: skip
    return found


def commands_of(code: str) -> list[str]:
    """The commands of a shell block: comments and empty lines taken off, continued lines joined."""
    lines = [re.sub(r"(^|\s+)#.*", "", line) for line in code.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.strip()]
