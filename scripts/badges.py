"""Draws the README's badges from what pyproject.toml says and CI holds: python scripts/badges.py"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "images" / "badges"
TEAL, GREY = "#00796b", "#555"
LETTER, PADDING, HEIGHT = 6.6, 7, 20
"""Pixels of a letter of 11-pixel Verdana, on average; around the text; of the badge."""


def badges() -> dict[str, tuple[str, str]]:
    """The badges by file name: what is said, and of what."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, tools = settings["project"], settings["tool"]
    assert tools["mypy"]["strict"]
    return {
        "python": ("python", project["requires-python"].replace(">=", "≥ ")),
        "license": ("license", project["license"]),
        "types": ("types", "mypy strict"),
        "coverage": ("line and branch coverage", f"≥ {tools['coverage']['report']['fail_under']} %"),
    }


def svg(what: str, value: str) -> str:
    """A badge."""
    left, right = (len(text) * LETTER + 2 * PADDING for text in (what, value))
    width = left + right
    middle = HEIGHT / 2 + 4
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{HEIGHT}" role="img" '
        f'aria-label="{what}: {value}">\n'
        f"<title>{what}: {value}</title>\n"
        f'<clipPath id="round"><rect width="{width:.0f}" height="{HEIGHT}" rx="3"/></clipPath>\n'
        f'<g clip-path="url(#round)"><rect width="{left:.1f}" height="{HEIGHT}" fill="{GREY}"/>'
        f'<rect x="{left:.1f}" width="{right:.1f}" height="{HEIGHT}" fill="{TEAL}"/></g>\n'
        f'<g fill="#fff" font-family="Verdana, DejaVu Sans, sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:.1f}" y="{middle:.0f}" textLength="{left - 2 * PADDING:.1f}">{what}</text>'
        f'<text x="{left + right / 2:.1f}" y="{middle:.0f}" textLength="{right - 2 * PADDING:.1f}">{value}</text></g>\n'
        "</svg>\n"
    )


def main() -> None:
    """Write them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (what, value) in badges().items():
        (FOLDER / f"{name}.svg").write_text(svg(what, value), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
