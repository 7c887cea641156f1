"""The map of the house: rooms, modules and imports, as the tree and `tests/house/test_rooms.py` have them."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import dropwhile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "siamesekit"
RULE = ROOT / "tests" / "house" / "test_rooms.py"
PICTURE = ROOT / "docs" / "images" / "house" / "rooms.svg"
"""The drawing for README, written by `python scripts/docs_site/rooms.py`."""
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md")
"""Pages with a table of the rooms, written by the same command."""


@dataclass(frozen=True)
class Module:
    """A module of the library.

    Attributes:
        name: dotted, without `siamesekit.`; empty for the package itself.
        room: the folder or root module that it is in.
        line: the first paragraph of its docstring.
    """

    name: str
    room: str
    line: str


@cache
def rooms() -> tuple[str, ...]:
    """`ROOMS` of `tests/house/test_rooms.py`, from the ground up.

    Raises:
        LookupError: it has none.
    """
    for node in ast.parse(RULE.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ROOMS":
            found: tuple[str, ...] = ast.literal_eval(node.value)
            return found
    raise LookupError(f"{RULE} has no ROOMS")


def folders() -> list[str]:
    """The rooms that are folders, from the ground up."""
    return [room for room in rooms() if (PACKAGE / room).is_dir()]


@cache
def modules() -> list[Module]:
    """All modules, by room and name.

    Raises:
        LookupError: one is in no room, or has no docstring.
    """
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        name = _name(file)
        room = name.partition(".")[0]
        doc = ast.get_docstring(_tree(file))
        if name and room not in rooms():
            raise LookupError(f"{name} is in none of the rooms of {RULE}")
        if not doc:
            raise LookupError(f"{name} has no docstring")
        found.append(Module(name, room, " ".join(doc.partition("\n\n")[0].split())))
    order = {room: number for number, room in enumerate([*rooms(), ""])}
    return sorted(found, key=lambda module: (order[module.room], module.name))


def room_lines() -> list[tuple[str, str]]:
    """Each folder and what is in it, in a line; from the ground up."""
    lines = {module.name: module.line for module in modules()}
    return [(room, lines[room]) for room in folders()]


def house_table() -> str:
    """The rooms as a table, from the top down."""
    rows = [f"| [`{room}/`](#{room}) | {line} |" for room, line in reversed(room_lines())]
    return "\n".join(["| room | content |", "| --- | --- |", *rows])


def plain_house_table() -> str:
    """The rooms as a table without links, for pages beside the site."""
    rows = [f"| `{room}/` | {line} |" for room, line in reversed(room_lines())]
    return "\n".join(["| room | content |", "| --- | --- |", *rows])


def module_tables() -> str:
    """A table of the modules of each room, from the top down; those beside the folders last."""
    every = modules()
    parts = []
    for room in reversed(folders()):
        parts.append(f"### {room}\n\n" + _table([module for module in every if module.room == room]))
    beside = [module for module in every if module.room not in folders()]
    parts.append("### Beside the rooms\n\n" + _table(beside))
    return "\n\n".join(parts)


@cache
def imports() -> Counter[tuple[str, str]]:
    """How many modules of a folder import from another folder: `(from, to)`."""
    found: Counter[tuple[str, str]] = Counter()
    inside = set(folders())
    for file in sorted(PACKAGE.rglob("*.py")):
        room = _name(file).partition(".")[0]
        targets = set()
        for node in ast.walk(_tree(file)):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            targets |= {name.split(".")[1] for name in names if name.startswith("siamesekit.")}
        for target in targets & inside - {room}:
            if room in inside:
                found[room, target] += 1
    return found


def house_drawing() -> str:
    """The rooms as an SVG, one above the other, with an arc for all imports from a room to one below it."""
    width, height, gap, left, box = 720, 46, 12, 150, 330
    shown = list(reversed(room_lines()))
    total = len(shown) * (height + gap)
    middle = {room: number * (height + gap) + gap / 2 + height / 2 for number, (room, _) in enumerate(shown)}
    parts = [
        f'<svg viewBox="0 0 {width} {total}" role="img" aria-label="The rooms of the library, from the command '
        'line above to the disk below; arcs are imports, all of them downward" '
        'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="14">'
    ]
    for (above, below), number in sorted(imports().items()):
        start, end = middle[above] + 5, middle[below] - 5
        reach = left + box + 20 + (end - start) * 0.32
        parts.append(
            f'<path d="M{left + box} {start:g}C{reach:g} {start:g} {reach:g} {end:g} {left + box} {end:g}" '
            f'fill="none" stroke="#2a9d8f" stroke-opacity="0.55" '
            f'stroke-width="{min(0.8 + number / 6, 5):.1f}"/>'
        )
    for room, _ in shown:
        number = sum(module.room == room for module in modules())
        top = middle[room] - height / 2
        parts += [
            f'<rect x="{left}" y="{top:g}" width="{box}" height="{height}" rx="6" fill="#2a9d8f" fill-opacity="0.16" '
            'stroke="#2a9d8f"/>',
            f'<text x="{left + 16}" y="{middle[room] + 5:g}" font-weight="bold" fill="#2a9d8f">{room}/</text>',
            f'<text x="{left + box - 16}" y="{middle[room] + 5:g}" text-anchor="end" fill="#808080">'
            f"{number} modules</text>",
        ]
    parts += [
        '<text x="16" y="28" fill="#808080">used last</text>',
        f'<text x="16" y="{total - 18}" fill="#808080">used by all</text>',
    ]
    return "".join([*parts, "</svg>"])


@cache
def _tree(file: Path) -> ast.Module:
    """The syntax tree of a module, which is parsed once."""
    return ast.parse(file.read_text(encoding="utf-8"))


def _name(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _table(rows: list[Module]) -> str:
    lines = [f"| `{module.name or 'siamesekit'}` | {module.line.replace('|', chr(92) + '|')} |" for module in rows]
    return "\n".join(["| module | what it is |", "| --- | --- |", *lines])


def with_house_table(page: str) -> str:
    """A page with its table of the rooms written anew.

    Raises:
        LookupError: it has none.
    """
    table = plain_house_table()
    header = table.partition("\n")[0]
    before, found, after = page.partition(header + "\n")
    if not found:
        raise LookupError(f"the page has no table that begins {header!r}")
    rest = after.splitlines(keepends=True)
    return before + table + "\n" + "".join(dropwhile(lambda line: line.startswith("|"), rest))


if __name__ == "__main__":
    PICTURE.write_text(house_drawing() + "\n", encoding="utf-8")
    for page in PAGES:
        page.write_text(with_house_table(page.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{PICTURE}, {', '.join(map(str, PAGES))}: {len(folders())} rooms", file=sys.stderr)
