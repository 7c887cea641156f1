"""The page of the design: every module of the tree, once, on its floor, with what it is."""

import re
from pathlib import Path

import pytest

import siamesekit
from docs_site.modules import TITLES, floors, floors_drawing, module_tables, modules

TREE = Path(siamesekit.__file__).parent


@pytest.mark.slow
def test_every_module_of_the_tree_is_named_once_with_half_a_line() -> None:
    files = {file.relative_to(TREE).with_suffix("").as_posix().replace("/", ".") for file in TREE.rglob("*.py")}
    expected = sorted(re.sub(r"\.?__init__$", "", name) or "siamesekit" for name in files)
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", module_tables(), re.M)
    assert sorted(name for name, _ in rows) == expected
    for name, line in rows:
        assert 10 <= len(line) <= 240, f"{name}: say what it is in one line at its docstring's top: {line}"


def test_a_module_stands_on_the_floor_that_the_imports_are_held_to() -> None:
    parts = re.split(r"^### Floor (\d)", module_tables(), flags=re.M)[1:]
    shown = {int(number): set(re.findall(r"^\| `([\w.]+)`", text, re.M))
             for number, text in zip(parts[::2], parts[1::2], strict=True)}  # fmt: skip
    assert sorted(shown) == list(range(len(floors())))
    assert "losses.triplet" in shown[1]
    assert "cli.app" in shown[6]
    assert {module.name or "siamesekit" for module in modules() if module.floor == 0} == shown[0]


def test_all_floors_are_drawn() -> None:
    assert len(TITLES) == len(floors())
    drawn = floors_drawing()
    for title, what in TITLES:
        assert title in drawn
        assert what in drawn


def test_the_page_asks_for_both() -> None:
    page = (TREE.parents[1] / "docs" / "design.md").read_text(encoding="utf-8")
    assert "<!-- generate: modules -->" in page
    assert "<!-- figure: floors |" in page
