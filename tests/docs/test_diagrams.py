"""The drawings that are checked in are those that the script draws, and can be read on light and dark ground."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import docs_diagrams

IMAGES = Path(docs_diagrams.IMAGES)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", docs_diagrams.DRAWINGS)
def test_a_drawing_is_what_the_script_draws(name: str) -> None:
    drawn = docs_diagrams.DRAWINGS[name]()
    assert (IMAGES / f"{name}.svg").read_text(encoding="utf-8") == drawn, "run: python scripts/docs_diagrams.py"


@pytest.mark.parametrize("name", docs_diagrams.DRAWINGS)
def test_a_drawing_has_a_title_and_no_colour_of_one_ground_only(name: str) -> None:
    root = ElementTree.parse(IMAGES / f"{name}.svg").getroot()
    assert len(root.attrib["aria-label"]) > 20
    allowed = {"none", "currentColor", docs_diagrams.TEAL, docs_diagrams.ORANGE, docs_diagrams.VIOLET}
    colours = {element.attrib[key] for element in root.iter() for key in ("fill", "stroke") if key in element.attrib}
    assert colours <= allowed
    width, height = (float(value) for value in root.attrib["viewBox"].split()[2:])
    for element in root.iter(f"{SVG}text"):
        assert 0 <= float(element.attrib["x"]) <= width
        assert 0 <= float(element.attrib["y"]) <= height


def test_no_drawing_is_left_over() -> None:
    assert {file.stem for file in IMAGES.glob("*.svg")} == set(docs_diagrams.DRAWINGS)


def test_the_ranking_s_figure_is_right() -> None:
    """MAP@R of hits at the places 1, 3, 4 with R = 3, by a plain loop."""
    hits, found, total = [True, False, True], 0, 0.0
    for place, hit in enumerate(hits, 1):
        found += hit
        total += hit * found / place
    assert f"{total / 3:.3f}" in docs_diagrams.ranking()
