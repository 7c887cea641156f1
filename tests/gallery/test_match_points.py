"""Shared points on the page of a match, in a real browser: dots and lines end where the photos show the points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from browser import Browser
from helpers import CHROMIUM
from siamesekit.data.records import Record
from siamesekit.gallery.match_page import DRAWN, PageFacts, Pictures, page, page_facts
from siamesekit.gallery.matching import Query
from siamesekit.gallery.search import Answer, Candidate, PhotoMatch
from siamesekit.gallery.sighting import Sighting

slow = pytest.mark.slow
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")
COLORS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255)}
POINTS = np.array([[0.35, 0.4, 0.62, 0.44], [0.6, 0.55, 0.42, 0.6], [0.45, 0.62, 0.5, 0.38]], np.float32)
SIZES = (600, 400), (300, 480)
"""Sizes of the two photos: one wide, one high."""
LINES = """(() => {
  const { left, top } = part("lines").getBoundingClientRect();
  return [...document.querySelectorAll("#lines line")].map((line) => ["x1", "y1", "x2", "y2"].map((name, at) =>
    Number(line.getAttribute(name)) + (at % 2 ? top : left)));
})()"""
DOTS = "document.querySelectorAll('#lines circle').length"


def marked(file: Path, size: tuple[int, int], places: NDArray[np.float32]) -> None:
    """A grey photo with a coloured disc around each place."""
    pixels = np.full((size[1], size[0], 3), 128, np.uint8)
    rows, columns = np.mgrid[: size[1], : size[0]] + 0.5
    for (x, y), color in zip(places * size, COLORS.values(), strict=True):
        pixels[np.hypot(columns - x, rows - y) < 8] = color
    Image.fromarray(pixels).save(file)


def query(points: NDArray[np.float32]) -> Query:
    """One photo with two candidates, of which the first shares points; the second one was looked at in vain."""
    found = [
        Candidate(name, 0.1, None, None, PhotoMatch(number, f"{name}.png", "", name, 0.1, None), 2, count)
        for number, name, count in ((1, "ann", len(points)), (2, "bob", 0))
    ]
    photo = Sighting(Record("query.png", "", Path("query.png")), "0" * 64)
    return Query("query.png", (photo,), Answer("query.png", None, tuple(found), ()), {(0, 1): points})


def facts(folder: Path, asked: Query) -> PageFacts:
    known = {n: {"name": f"{n}.png", "small": "candidate.png", "image": "candidate.png"} for n in (1, 2, 3)}
    pictures = Pictures(lambda _: "query.png", known, {"ann": [1, 3], "bob": [2]})
    return page_facts(folder, [asked], ["ann", "bob"], pictures)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("points")
    for name, size, places in zip(("query", "candidate"), SIZES, (POINTS[:, :2], POINTS[:, 2:]), strict=True):
        marked(folder / f"{name}.png", size, places)
    (folder / "index.html").write_text("".join(page("points", facts(folder, query(POINTS)), "Note.")), encoding="utf-8")
    with Browser(folder / "browser") as opened:
        opened.open((folder / "index.html").as_uri())
        yield opened
        assert opened.errors == []


def seen(browser: Browser, folder: Path) -> NDArray[np.float64]:
    """Where a person sees the discs, `[3, 4]`: their middles in a picture of the window without lines."""
    browser.press("p")
    assert browser.value(LINES) == [] and browser.value(DOTS) == 0
    browser.screenshot(folder / "window.png")
    browser.press("p")
    window = np.asarray(Image.open(folder / "window.png").convert("RGB")).astype(int)
    ends = []
    for stage in ("query-stage", "candidate-stage"):
        box = browser.value(
            f"(({{x, y, width, height}}) => [x, y, width, height])(part('{stage}').getBoundingClientRect())"
        )
        x, y, width, height = (round(each) for each in box)
        inside = window[y : y + height, x : x + width]
        middles = []
        for color in COLORS.values():
            rows, columns = np.nonzero(np.abs(inside - color).max(-1) < 90)
            assert len(rows) > 20
            middles.append([x + columns.mean() + 0.5, y + rows.mean() + 0.5])
        ends.append(np.array(middles))
    return np.hstack(ends)


@slow
@needs_browser
@pytest.mark.parametrize(("width", "height"), [(1400, 1000), (390, 844)])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("zoom", [1, 2])
def test_lines_end_where_the_photos_show_the_points(
    browser: Browser, tmp_path: Path, width: int, height: int, mirrored: bool, zoom: int
) -> None:
    browser.look(width, height)
    browser.value("scrollTo(0, 0)")
    if browser.value("mirrored") != mirrored:
        browser.press("m")
    browser.value("scaleAt(0)")
    if zoom > 1:
        browser.value(f"(scaleAt({zoom}), shift({{ ...zoom, x: 0.04, y: -0.06 }}))")
    browser.until(lambda: len(browser.value(LINES)) == len(POINTS))
    expected = seen(browser, tmp_path)
    np.testing.assert_allclose(np.array(browser.value(LINES)), expected, atol=1.5)
    if mirrored:
        assert expected[0, 0] > expected[1, 0]
    assert browser.value(DOTS) == 2 * len(POINTS)


@slow
@needs_browser
def test_points_are_switched_and_stay_within_their_photos(browser: Browser) -> None:
    browser.look(1400, 1000)
    browser.value("scaleAt(0)")
    assert browser.text("#points") == "3 points"
    browser.click("#points")
    assert browser.value(DOTS) == 0 and browser.value("part('points').getAttribute('aria-pressed')") == "false"
    browser.press("p")
    assert browser.value(DOTS) == 6
    # far to one corner nothing of the photos' middle is seen
    browser.value("(scaleAt(12), shift({ ...zoom, x: 9, y: 9 }))")
    assert browser.value(DOTS) == 0
    browser.value("scaleAt(0)")
    # another photo of the candidate, and another candidate, share none
    browser.click("#candidate-more button:nth-child(2)")
    assert browser.text("#points") == "No points" and browser.value(LINES) == []
    browser.click("#candidate-more button:nth-child(1)")
    browser.until(lambda: len(browser.value(LINES)) == 3)
    browser.press("ArrowDown")
    assert browser.text("#points") == "No points" and browser.value("part('points').disabled")
    browser.press("ArrowUp")
    browser.until(lambda: len(browser.value(LINES)) == 3)


def test_of_many_points_some_are_drawn_and_all_are_counted(tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(0, 1, (1000, 4)).astype(np.float32)
    told = facts(tmp_path, query(points))
    assert told.head["looked"] is True
    (asked,) = told.queries()
    first, second = asked["candidates"]
    (shared,) = first["shared"]
    assert shared["count"] == 1000 and len(shared["places"]) == 4 * DRAWN and "shared" not in second
    drawn = np.array(shared["places"]).reshape(-1, 4) / told.head["whole"]
    np.testing.assert_allclose(drawn[[0, -1]], points[[0, -1]], atol=1e-4)
    assert len(np.unique(drawn, axis=0)) == DRAWN
    (asked,) = facts(tmp_path, query(POINTS)).queries()
    few = asked["candidates"][0]["shared"][0]
    assert few == {"count": 3, "places": (POINTS * told.head["whole"]).round().astype(int).ravel().tolist()}
