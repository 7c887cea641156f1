"""Examples in docstrings: Markdown would read `>>>` as three nested quotations, so they are fenced as code.

It is an extension of griffe too, which reads the docstrings of the Python reference.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^(?P<indent> *)>>> .*(?:\n *\S.*)*", re.MULTILINE)
"""From a prompt to the next empty line."""


def with_fenced_examples(doc: str) -> str:
    """The docstring with each run of prompts and answers as a block of Python's console."""

    def fenced(match: re.Match[str]) -> str:
        indent = match["indent"]
        return f"{indent}```pycon\n{match[0]}\n{indent}```"

    return EXAMPLE.sub(fenced, doc)


class Examples(griffe.Extension):
    """Fences the examples of every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Of each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = with_fenced_examples(obj.docstring.value)
