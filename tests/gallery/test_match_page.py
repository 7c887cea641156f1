"""A person's path in a real browser: enrol, match a season, decide by keyboard, enrol the decisions, match again."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from browser import Browser
from conftest import draw_photo, write_photos
from helpers import CHROMIUM
from siamesekit.cli.app import app

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH"),
]
KNOWN = [f"animal-{number:02}" for number in range(12)]
SPITEFUL = "</script><img src=x onerror='window.hit = 1'>"
"""A name that would run as a script on a page that does not guard itself."""

LOADED = """[...document.images].filter((image) => image.loading !== "lazy").every((image) => image.naturalWidth > 0)"""
STAGE = """(({ x, y, width, height }) => [x, y, width, height])(part("query-stage").getBoundingClientRect())"""


def document(*arguments: object) -> Any:
    """The JSON of a command that went well."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def season(folder: Path, first: int) -> dict[str, str]:
    """30 photos, 20 of known individuals and 10 of two new ones, with their true individuals, by name."""
    folder.mkdir()
    truth = {}
    for number in range(30):
        new = number % 3 == 2
        individual = 20 + number % 2 if new else number % len(KNOWN)
        name = f"IMG_{number:04}.png"
        Image.fromarray(draw_photo(individual, first + number)).save(folder / name)
        truth[name] = f"stranger-{number % 2}" if new else KNOWN[individual]
    return truth


@pytest.fixture(scope="module")
def catalogue(telling: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("path")
    photos = write_photos(folder / "photos", KNOWN)
    assert document("enrol", telling, photos, "-o", folder / "catalogue", "--device", "cpu")["individuals"] == 12
    return folder / "catalogue"


def test_a_person_matches_a_season_decides_by_keyboard_and_matches_again(catalogue: Path, tmp_path: Path) -> None:
    truth = season(tmp_path / "new", 100)
    told = document("match", catalogue, tmp_path / "new", "-o", tmp_path / "match", "--device", "cpu")
    assert told["queries"] == 30
    names: dict[str, str] = {}  # what the page has called the strangers
    with Browser(tmp_path / "browser") as browser:
        browser.look(1400, 1000)
        browser.open((tmp_path / "match" / "index.html").as_uri())
        for _ in range(30):
            query = str(browser.value("data.queries[query].name"))
            true = truth[query]
            if true in KNOWN:
                ranked = browser.value("data.queries[query].candidates.map((each) => each.individual)")
                place = ranked.index(true)
                if place < 9:
                    browser.press(str(place + 1))
                else:
                    for _ in range(place):
                        browser.press("ArrowDown")
                    browser.press("Enter")
                said = f"Same as {true}"
            elif true in names:
                browser.press("/")
                browser.type(names[true])
                browser.press("Enter")
                said = f"New individual {names[true]}"
            else:
                browser.press("n")
                said = str(browser.text("#state")).partition(": ")[2]
                names[true] = said.removeprefix("New individual ")
            assert browser.text("#state").endswith(said)
        assert browser.text("#count") == "30 of 30 decided"
        assert len(set(names.values())) == 2
        # a slip, and its undoing
        browser.press("x")
        assert "Bad photo" in browser.text("#state")
        browser.press("z")
        assert "Bad photo" not in browser.text("#state")
        # the page closed and opened again has kept everything
        browser.open((tmp_path / "match" / "index.html").as_uri())
        assert browser.text("#count") == "30 of 30 decided"
        browser.click("#save")
        saved = browser.downloads / "decisions.csv"
        browser.until(lambda: saved.exists() and saved.stat().st_size > 0)
        assert browser.errors == []
    with saved.open(newline="", encoding="utf-8") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert {name: row["individual"] for name, row in rows.items()} == {n: names.get(t, t) for n, t in truth.items()}
    assert all(len(json.loads(row["rejected"])) == (12 if row["decision"] == "new" else 0) for row in rows.values())
    done = document("decide", catalogue, saved, "--device", "cpu")
    assert done == {"same": 20, "new": 10, "individuals": 2, "unsure": 0, "bad": 0, "there": 0}
    assert document("info", catalogue)["individuals"] == 14
    # the next season finds the new ones among the candidates
    truth = season(tmp_path / "next", 200)
    again = document("match", catalogue, tmp_path / "next", "-o", tmp_path / "again", "-k", 14, "--device", "cpu")
    assert (again["queries"], again["enrolled"]) == (30, 0)
    with (tmp_path / "again" / "matches.csv").open(newline="", encoding="utf-8") as file:
        found = {(row["query"], row["individual"]) for row in csv.DictReader(file)}
    assert {(name, names.get(true, true)) for name, true in truth.items()} <= found
    assert document("match", catalogue, tmp_path / "next", "-o", tmp_path / "again", "--device", "cpu")["queries"] == 30
    assert (
        CliRunner().invoke(app, ["match", str(catalogue), str(tmp_path / "new"), "-o", str(tmp_path / "m")]).exit_code
        == 2
    )


def test_the_page_fits_its_window_and_moves_both_photos_in_step(catalogue: Path, tmp_path: Path) -> None:
    season(tmp_path / "new", 300)
    document("rename", catalogue, "animal-03", SPITEFUL)
    document("match", catalogue, tmp_path / "new", "-o", tmp_path / "match", "--device", "cpu")
    with Browser(tmp_path / "browser") as browser:
        for width, height in ((1400, 1000), (390, 844)):
            for dark in (False, True):
                browser.look(width, height, dark)
                browser.open((tmp_path / "match" / "index.html").as_uri())
                assert browser.value("document.documentElement.scrollWidth <= innerWidth")
                assert browser.value(LOADED)
                browser.screenshot(tmp_path / "page.png")
                shades = Image.open(tmp_path / "page.png").convert("L").histogram()
                assert sum(map(bool, shades)) > 100 and (shades.index(max(shades)) < 64) == dark
        browser.look(1400, 1000)
        browser.open((tmp_path / "match" / "index.html").as_uri())
        box = browser.value(STAGE)
        x, y = box[0] + box[2] / 4, box[1] + box[3] / 2
        browser.pointer("mouseWheel", x, y, deltaX=0, deltaY=-400)
        browser.until(lambda: browser.value("zoom.scale") > 2)
        scale, shift = browser.value("zoom.scale"), browser.value("zoom.x")
        assert shift == pytest.approx((scale - 1) / 4, abs=0.01)  # the place below the pointer stays where it is
        browser.pointer("mousePressed", x, y, button="left", clickCount=1)
        browser.pointer("mouseMoved", x - box[2] / 8, y, button="left")
        browser.pointer("mouseReleased", x - box[2] / 8, y, button="left", clickCount=1)
        assert browser.value("zoom.x") == pytest.approx(shift - 1 / 8, abs=0.01)
        browser.press("m")
        transforms = browser.value("[...document.querySelectorAll('.picture')].map((each) => each.style.transform)")
        assert transforms[0] == transforms[1] and f"scale({scale:.3f}"[:9] in transforms[0]
        assert (
            browser.value("getComputedStyle(document.querySelector('#query')).transform") == "matrix(-1, 0, 0, 1, 0, 0)"
        )
        assert browser.value("getComputedStyle(document.querySelector('#candidate')).transform") == "none"
        browser.press("0")
        assert browser.value("zoom") == {"scale": 1, "x": 0, "y": 0}
        # filters and orders
        order = browser.value("order")
        browser.value("part('sort').value = 'open'; part('sort').dispatchEvent(new Event('change'))")
        uncertain = browser.value("order.map((each) => data.queries[each].uncertainty)")
        assert uncertain == sorted(uncertain, reverse=True) and browser.value("order") != order
        browser.press("u")
        browser.value("part('filter').value = 'unsure'; part('filter').dispatchEvent(new Event('change'))")
        assert browser.value("order.length") == 1 and "Decided: Unsure" in browser.text("#state")
        browser.press("z")
        assert browser.value("part('filter').value") == "all"  # so that what was undone is seen
        browser.value("part('filter').value = 'unsure'; part('filter').dispatchEvent(new Event('change'))")
        assert browser.text("#nothing") and browser.value("part('main').hidden")
        assert SPITEFUL in browser.value("data.individuals") and browser.value("window.hit") is None
        assert browser.errors == []
    document("undo", catalogue)


def test_decisions_of_two_windows_are_kept_both(catalogue: Path, tmp_path: Path) -> None:
    season(tmp_path / "new", 400)
    document("match", catalogue, tmp_path / "new", "-o", tmp_path / "match", "--device", "cpu")
    page = (tmp_path / "match" / "index.html").as_uri()
    other = """(() => {{ const kept = JSON.parse(localStorage.getItem(KEY));
        kept.decisions[{query}] = {{ decision: "{word}", individual: "", rejected: [] }};
        kept.history.push({{ query: {query}, before: null }});
        localStorage.setItem(KEY, JSON.stringify(kept)); }})()"""
    words = "Object.fromEntries(Object.entries(JSON.parse(localStorage.getItem(KEY)).decisions)"
    words += ".map(([number, each]) => [number, each.decision]))"
    with Browser(tmp_path / "browser") as browser:
        browser.open(page)
        browser.press("u")
        browser.value(other.format(query=7, word="bad"))  # as another window of this browser does
        browser.press("x")
        assert browser.value(words) == {"0": "unsure", "1": "bad", "7": "bad"}
        assert browser.text("#count") == "3 of 30 decided"
        browser.value(other.format(query=9, word="unsure"))
        browser.value("window.dispatchEvent(new StorageEvent('storage', { key: KEY }))")
        assert browser.text("#count") == "4 of 30 decided"
        browser.press("z")  # the last of all, whichever window it was
        assert browser.value(words) == {"0": "unsure", "1": "bad", "7": "bad"} and browser.value("query") == 9
        # a browser that refuses to keep anything loses nothing that the page has
        browser.value("Storage.prototype.setItem = () => { throw new Error('full') }")
        browser.press("u")
        browser.press("x")
        assert browser.text("#count") == "5 of 30 decided" and "keeps nothing" in browser.text("#warning")
        browser.value("unkept = false")  # else the browser would ask before the page is left
        # what another page has left there does no harm
        one = '{"3": {"decision": "bad", "individual": "", "rejected": []}}'
        wrong = '{"99": {}, "length": 1, "3": {"decision": "eat"}}'
        for left in (
            "{",
            "5",
            f'{{"decisions": {wrong}, "history": [null]}}',
            f'{{"decisions": {one}, "history": []}}',
        ):
            browser.open(page)
            browser.value(f"localStorage.setItem(KEY, {json.dumps(left)})")
            browser.open(page)
            assert browser.text("#count") == f"{int('bad' in left)} of 30 decided"
        browser.press("u")
        assert browser.value(words) == {"0": "unsure", "3": "bad"}
        assert browser.errors == []


def test_keys_decide_wherever_the_focus_is_and_whatever_the_layout(catalogue: Path, tmp_path: Path) -> None:
    season(tmp_path / "new", 500)
    document("match", catalogue, tmp_path / "new", "-o", tmp_path / "match", "--device", "cpu")
    last = "decisions[history.at(-1).query].decision"
    with Browser(tmp_path / "browser") as browser:
        browser.look(1400, 1000)
        browser.open((tmp_path / "match" / "index.html").as_uri())
        browser.click("#unsure")
        browser.press("Enter")  # as the candidate shown, not once more what was clicked
        assert browser.value(last) == "same" and browser.value("decisions[0].decision") == "unsure"
        # a person without a mouse stays where he is among the candidates
        browser.value("document.querySelectorAll('#candidates button')[3].focus()")
        browser.press("Enter")
        assert browser.value("candidate") == 3
        assert (
            browser.value("[...document.querySelectorAll('#candidates button')].indexOf(document.activeElement)") == 3
        )
        browser.value("document.activeElement.blur()")
        for key, place, word in (("т", "KeyN", "new"), ("ч", "KeyX", "bad"), ("U", "KeyU", "unsure"),
                                 ("٢", "Digit2", "same"), ("2", "Numpad2", "same")):  # fmt: skip
            browser.press(key, place)
            assert browser.value(last) == word
        count = browser.text("#count")
        for key, place in (("é", "Digit2"), ("ö", "Semicolon"), ("q", "KeyQ"), ("Process", "KeyN")):
            browser.press(key, place)
        assert browser.text("#count") == count
        browser.press("я", "KeyZ")
        assert browser.text("#count") != count
        # names
        for name, told in (("a\u200bb", True), ("x" * 201, True), ("  Zoe\u0301 ", False)):
            browser.press("/")
            browser.type(name)
            browser.value(
                "part('name').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true }))"
            )
            browser.press("Enter")
            assert browser.text("#warning").startswith("A name has at most 200") == told
        assert browser.value("Object.values(decisions).filter((each) => each.individual === 'Zo\\u00e9').length") == 1
        assert browser.value("part('warning').getAttribute('role')") == "alert"
        assert browser.errors == []
