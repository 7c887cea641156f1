"""The map of the house: every room and module of the tree, once, with what it is; drawn as the imports are."""

import re
from pathlib import Path

import pytest

import siamesekit
from docs_site.rooms import (
    PICTURE,
    folders,
    house_drawing,
    house_table,
    imports,
    module_tables,
    plain_house_table,
    rooms,
)

TREE = Path(siamesekit.__file__).parent
ROOT = TREE.parents[1]


@pytest.mark.medium
def test_every_module_of_the_tree_is_named_once_with_half_a_line() -> None:
    files = {file.relative_to(TREE).with_suffix("").as_posix().replace("/", ".") for file in TREE.rglob("*.py")}
    expected = sorted(re.sub(r"\.?__init__$", "", name) or "siamesekit" for name in files)
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", module_tables(), re.M)
    assert sorted(name for name, _ in rows) == expected
    for name, line in rows:
        assert 10 <= len(line) <= 240, f"{name}: say what it is in one line at its docstring's top: {line}"


def test_a_module_stands_in_its_room() -> None:
    parts = re.split(r"^### ([\w ]+)\n", module_tables(), flags=re.M)[1:]
    shown = {
        room: set(re.findall(r"^\| `([\w.]+)`", text, re.M)) for room, text in zip(parts[::2], parts[1::2], strict=True)
    }
    assert set(shown) == {*folders(), "Beside the rooms"}
    assert "components.losses.triplet" in shown["components"]
    assert "cli.app" in shown["cli"]
    assert {"errors", "options", "siamesekit"} <= shown["Beside the rooms"]


def test_all_rooms_are_in_the_table_and_drawn_and_all_arcs_go_down() -> None:
    drawn, table = house_drawing(), house_table()
    assert folders() == [room for room in rooms() if room in folders()] and len(folders()) <= 15
    for room in folders():
        assert f">{room}/</text>" in drawn
        assert f"| [`{room}/`](#{room}) |" in table
    assert imports()["engine", "components"] > 0
    assert all(rooms().index(above) > rooms().index(below) for above, below in imports())
    assert drawn.count("<path") == len(imports())


def test_readme_and_contributing_show_the_house_as_it_is() -> None:
    """Written anew by `python scripts/docs_site/rooms.py`."""
    assert PICTURE.read_text(encoding="utf-8") == house_drawing() + "\n"
    for page in ("README.md", "CONTRIBUTING.md"):
        assert plain_house_table() in (ROOT / page).read_text(encoding="utf-8"), page
    assert "docs/images/house/rooms.svg" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_page_asks_for_all_of_it() -> None:
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    assert "<!-- generate: modules -->" in page
    assert "<!-- generate: house -->" in page
    assert "<!-- figure: house |" in page
