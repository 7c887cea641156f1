"""The library's floors and modules, as the tree and `tests/test_floors.py` have them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "siamesekit"
TITLES = (
    ("No torch", "signatures as schemas, a run's TOML, files, errors"),
    ("Tensors", "the mathematics: one concept a file, a pure function first"),
    ("Data and model", "photos, batches, views; the network"),
    ("Engine", "training steps that do no more than they must; figures"),
    ("Artifact", "the saved model, which needs no config"),
    ("Report", "one self-contained HTML page"),
    ("Composition", "check and run, and the thin command line"),
)
"""Of each floor from the ground up: its name, and what is there."""


@dataclass(frozen=True)
class Module:
    """A module of the library.

    Attributes:
        name: dotted, without `siamesekit.`; empty for the package itself.
        floor: from 0.
        line: the first line of its docstring.
    """

    name: str
    floor: int
    line: str


def floors() -> tuple[tuple[str, ...], ...]:
    """`FLOORS` of `tests/test_floors.py`, from the ground up."""
    tree = ast.parse((ROOT / "tests" / "test_floors.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "FLOORS":
            assert node.value is not None
            found: tuple[tuple[str, ...], ...] = ast.literal_eval(node.value)
            return found
    raise LookupError("tests/test_floors.py has no FLOORS")


def modules() -> list[Module]:
    """All modules, by floor and name.

    Raises:
        LookupError: one is on no floor, or has no docstring.
    """
    where = {name: number for number, names in enumerate(floors()) for name in names}
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
        if name.partition(".")[0] not in where:
            raise LookupError(f"{name} is on none of the floors of tests/test_floors.py")
        if not doc:
            raise LookupError(f"{name} has no docstring")
        found.append(Module(name, where[name.partition(".")[0]], " ".join(doc.partition("\n\n")[0].split())))
    return sorted(found, key=lambda module: (module.floor, module.name))


def module_tables() -> str:
    """A table of the modules of each floor, from the top down."""
    every = modules()
    parts = []
    for floor in reversed(range(len(TITLES))):
        title, what = TITLES[floor]
        rows = [f"| `{module.name or 'siamesekit'}` | {module.line.replace('|', chr(92) + '|')} |"
                for module in every if module.floor == floor]  # fmt: skip
        parts.append(f"### Floor {floor}: {title[0].lower() + title[1:]}\n\n{what[0].upper() + what[1:]}.\n\n"
                     "| module | what it is |\n| --- | --- |\n" + "\n".join(rows))  # fmt: skip
    return "\n\n".join(parts)


def floors_drawing() -> str:
    """The floors as an SVG: the top of the house above, arrows of imports going down."""
    height, gap, width = 58, 14, 720
    total = len(TITLES) * (height + gap)
    parts = [f'<svg viewBox="0 0 {width} {total}" role="img" aria-label="The floors of the library: a module imports '
             'from its own floor and those below" xmlns="http://www.w3.org/2000/svg" font-family="inherit" '
             'font-size="14" fill="currentColor">']  # fmt: skip
    for floor, (title, what) in enumerate(TITLES):
        top = total - (floor + 1) * (height + gap) + gap / 2
        names = [name for name in floors()[floor] if name]
        shown = ", ".join(names) if len(names) <= 7 else ", ".join(names[:6]) + f" and {len(names) - 6} more"
        parts += [
            f'<rect x="1" y="{top}" width="{width - 2}" height="{height}" rx="6" fill="#2a9d8f" '
            f'fill-opacity="{0.12 + 0.05 * floor:.2f}" stroke="#2a9d8f"/>',
            f'<text x="16" y="{top + 24}" font-weight="bold">{floor}  {title}</text>',
            f'<text x="190" y="{top + 24}">{what}</text>',
            f'<text x="190" y="{top + 45}" font-size="12" opacity="0.75">{shown}</text>',
        ]
        if floor:
            x, y = 90, top + height
            parts.append(f'<path d="M{x} {y + 1}v{gap - 5}m-5 -5l5 5l5 -5" fill="none" stroke="currentColor" '
                         'stroke-width="1.5"/>')  # fmt: skip
    return "".join([*parts, "</svg>"])
