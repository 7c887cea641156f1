"""A page that is a file elsewhere in the repository, so that nothing is said twice: `<!-- include: PATH -->`."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/whales/README.md": "whales.md",
    "examples/digits/README.md": "digits.md",
    "examples/animals/README.md": "animals.md",
    "examples/plugin/README.md": "guides/package.md",
}
"""Files of the repository, and the pages that show them."""
DIRECTIVE = re.compile(r"^<!-- include: (?P<path>\S+) -->$", re.MULTILINE)
LINK = re.compile(r"(?P<open>!?\[[^\]]*\]\()(?P<target>[^)#\s]+)(?P<rest>[^)]*\))")


def included(text: str, page: str) -> tuple[str, dict[str, Path]]:
    """The page with the files that it includes, their links turned to the site's.

    Args:
        text: of the page.
        page: its path below `docs/`.

    Returns:
        The text, and files that it links to, by their path below the site's root, to be copied there.
    """
    files: dict[str, Path] = {}

    def content(match: re.Match[str]) -> str:
        source = match["path"]
        inner = (ROOT / source).read_text(encoding="utf-8")
        inner = re.sub(r"\A# .*\n+", "", inner)  # the including page has the title

        def turned(link: re.Match[str]) -> str:
            target = link["target"]
            if re.match(r"\w+:", target):
                return link[0]
            place = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
            if place in PAGES:
                place = PAGES[place]
            elif place.startswith("docs/"):
                place = place.removeprefix("docs/")
            else:
                files[f"files/{place}"] = ROOT / place
                place = f"files/{place}"
            return f"{link['open']}{posixpath.relpath(place, posixpath.dirname(page) or '.')}{link['rest']}"

        return LINK.sub(turned, inner)

    return DIRECTIVE.sub(content, text), files


def outward(text: str, page: str) -> str:
    """A page's links to files that are pages of the site under another name, such as `../examples/digits/README.md`."""

    def turned(link: re.Match[str]) -> str:
        place = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link["target"]))
        if place not in PAGES:
            return link[0]
        return f"{link['open']}{posixpath.relpath(PAGES[place], posixpath.dirname(page) or '.')}{link['rest']}"

    return LINK.sub(turned, text)
