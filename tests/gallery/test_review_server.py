"""A review: decisions that go into the catalogue at once, served to this machine only."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from browser import Browser
from conftest import draw_photo, write_photos
from helpers import CHROMIUM
from siamesekit.data.records import Record
from siamesekit.errors import DataError
from siamesekit.gallery.catalogue import Catalogue, enrol
from siamesekit.gallery.reviewing import DecidedMeanwhileError, Review
from siamesekit.progress import Progress
from siamesekit.registry import READERS

pytest.importorskip("starlette", reason="a review needs: pip install '.[serve]'")
NAMES = ["Ann", "Bob", "Cy"]


@pytest.fixture(scope="module")
def enrolled(telling: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of three individuals; not to be written to."""
    folder = tmp_path_factory.mktemp("review")
    records: list[Record] = READERS.build("folder", {"root": str(write_photos(folder / "photos", NAMES))}, seed=0)
    catalogue, _ = enrol(telling, records, folder / "catalogue", Progress(), author="Zoe")
    catalogue.close()
    return folder / "catalogue"


def season_in(folder: Path) -> list[Record]:
    """Five new photos."""
    folder.mkdir()
    for number in range(5):
        Image.fromarray(draw_photo(number, 70)).save(folder / f"{number}.png")
    return [Record(f"{number}.png", "", folder / f"{number}.png") for number in range(5)]


@pytest.fixture
def place(enrolled: Path, tmp_path: Path) -> Path:
    """A copy of the catalogue, to be written to."""
    return Path(shutil.copytree(enrolled, tmp_path / "catalogue"))


def individuals(place: Path) -> dict[str, int]:
    with Catalogue(place) as catalogue:
        return catalogue.individuals()


def test_each_decision_is_in_the_catalogue_at_once_and_can_be_taken_back(place: Path, tmp_path: Path) -> None:
    with Catalogue(place) as catalogue:
        queries = catalogue.match(season_in(tmp_path / "new")).queries
    review = Review(place, queries, "Yan", "cpu")
    try:
        review.put(0, "same", "Ann", [], None)
        assert individuals(place) == {"Ann": 5, "Bob": 4, "Cy": 4}
        review.put(3, "new", "Dee", NAMES, None)
        review.put(4, "new", "Dee", NAMES, None)  # new for the page, and there by now
        assert individuals(place) == {"Ann": 5, "Bob": 4, "Cy": 4, "Dee": 2}
        # another reviewer has not seen the first decision
        with pytest.raises(DecidedMeanwhileError, match=r"0\.png"):
            review.put(0, "same", "Bob", [], None)
        assert individuals(place)["Ann"] == 5
        review.put(0, "same", "Bob", [], review.said()[0]["change"])
        assert individuals(place) == {"Ann": 4, "Bob": 5, "Cy": 4, "Dee": 2}
        # a decision that contradicts the catalogue leaves the one before
        with pytest.raises(DataError):
            review.put(0, "same", "Nobody", [], review.said()[0]["change"])
        assert individuals(place)["Bob"] == 5 and review.said()[0]["individual"] == "Bob"
        review.put(0, "open", "", [], review.said()[0]["change"])
        assert individuals(place) == {"Ann": 4, "Bob": 4, "Cy": 4, "Dee": 2} and 0 not in review.said()
        for number, word in ((9, "bad"), (-1, "bad"), (1, "maybe")):
            with pytest.raises(DataError, match=r"there is no query|the decision is 'maybe'"):
                review.put(number, word, "", [], None)
    finally:
        review.close()
    with Catalogue(place) as catalogue:
        assert {change.author for change in catalogue.log() if change.command != "add"} == {"Yan"}


class Served:
    """A running `siamesekit review`."""

    def __init__(self, place: Path, season: Path) -> None:
        command = [sys.executable, "-m", "siamesekit", "review", str(place), str(season), "--device", "cpu"]
        self.process = subprocess.Popen(
            [*command, "--author", "Yan"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            found = re.search(r"review at (http://\S+/)", line)
            if found:
                self.address = found[1]
                break
        else:
            raise AssertionError(said)
        split = urlsplit(self.address)
        self.host, self.path, self.port = split.netloc, split.path, int(split.port or 0)
        self.secret = self.path.strip("/")

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Status and content of an answer; with a body, of a decision."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET" if body is None else "POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def decide(self, **told: Any) -> tuple[int, Any]:
        body = {"individual": "", "rejected": [], "seen": None, "fresh": False} | told
        status, content = self.ask(f"{self.path}decide", json.dumps(body).encode(), **{"X-Token": self.secret})
        return status, json.loads(content)


@pytest.fixture(scope="module")
def served(enrolled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    season_in(folder / "new")
    serving = Served(Path(shutil.copytree(enrolled, folder / "catalogue")), folder / "new")
    yield serving
    serving.process.send_signal(signal.SIGINT)
    assert serving.process.wait(60) in (0, 130)


@pytest.mark.slow
def test_only_the_page_itself_is_answered(served: Served) -> None:
    assert served.ask(served.path)[0] == 200
    picture = re.search(rb"pictures/query-\w+\.jpg", served.ask(served.path)[1])
    assert picture is not None and served.ask(served.path + picture[0].decode())[0] == 200
    other = "y" if served.secret.endswith("x") else "x"
    for path in ("/", "/decide", "/pictures/query-1.jpg", f"/{served.secret[:-1]}{other}/"):
        assert served.ask(path)[0] == 404  # without the secret
    for path in ("pictures/..%2f..%2fcatalogue.sqlite", "pictures/../decisions.txt", "pictures/none.jpg", "other"):
        assert served.ask(served.path + path)[0] == 404
    for headers in ({"Host": "example.org"}, {"Host": f"example.org:{served.port}"}, {"Origin": "http://example.org"},
                    {"Origin": "null"}):  # fmt: skip
        assert served.ask(served.path, **headers)[0] == 403
    body = json.dumps({"query": 0, "decision": "bad", "individual": "", "rejected": [], "seen": None})
    body = body[:-1].encode() + b', "fresh": false}'
    assert served.ask(f"{served.path}decide", body)[0] == 403  # without the token in a header of its own
    assert served.ask(f"{served.path}decide", body, **{"X-Token": "guess"})[0] == 403
    assert served.ask(f"{served.path}decide", body, **{"X-Token": served.secret, "Origin": "http://evil.org"})[0] == 403
    for content in (b"", b"[]", b"{", b'{"query": "0"}', b"[" * 60_000, body.replace(b"0", b"true")):
        assert served.ask(f"{served.path}decide", content, **{"X-Token": served.secret})[0] == 400
    assert json.loads(served.ask(f"{served.path}decisions")[1]) == {"decisions": {}}


@pytest.mark.slow
def test_a_request_of_a_gigabyte_is_refused_before_it_is_sent(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
        head = (
            f"POST {served.path}decide HTTP/1.1\r\nHost: {served.host}\r\nX-Token: {served.secret}\r\n"
            "Content-Length: 1000000000\r\n\r\n"
        )
        connection.sendall(head.encode() + b"x" * 100_000)
        assert connection.recv(64).startswith(b"HTTP/1.1 413")


@pytest.mark.slow
def test_it_listens_to_this_machine_only(served: Served) -> None:
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", served.port), timeout=5)  # this machine too, by another address


@pytest.mark.slow
def test_two_reviewers_do_not_overwrite_each_other(served: Served) -> None:
    status, told = served.decide(query=1, decision="same", individual="Bob")
    assert status == 200 and told["decisions"]["1"]["individual"] == "Bob"
    status, told = served.decide(query=1, decision="same", individual="Cy")
    assert status == 409 and "another reviewer has decided meanwhile" in told["error"]
    assert told["decisions"]["1"]["individual"] == "Bob"
    status, told = served.decide(query=2, decision="same", individual="Nobody")
    assert status == 422 and "no individual 'Nobody'" in told["error"]
    status, told = served.decide(query=1, decision="open", seen=told["decisions"]["1"]["change"])
    assert (status, told["decisions"]) == (200, {})


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")
def test_decisions_in_two_browsers_meet_in_the_catalogue(served: Served, tmp_path: Path) -> None:
    with Browser(tmp_path / "one") as one, Browser(tmp_path / "two") as two:
        for browser in (one, two):
            browser.look(1400, 1000)
            browser.open(served.address)
        one.press("n")
        one.until(lambda: bool(one.value("data.decisions[0]")))
        two.until(lambda: two.text("#count") == "1 of 5 decided")  # looked up by itself
        two.press("ArrowRight")
        two.press("x")
        two.until(lambda: bool(two.value("data.decisions[1]")))
        # the first one presses before it has seen that
        one.value("go(1); data.decisions = { 0: data.decisions[0] }; decisions = { ...data.decisions }")
        one.press("u")
        one.until(lambda: "another reviewer has decided meanwhile" in one.text("#warning"))
        assert one.value("decisions[1].decision") == "bad"
        one.press("z")  # takes back what it has decided itself
        one.until(lambda: one.value("data.decisions[0] === undefined"))
        two.value("go(1)")
        two.press("z")
        two.until(lambda: two.value("data.decisions[1] === undefined"))
        assert two.errors == []
        assert len([error for error in one.errors if "409" not in error]) == 0


SLOWLY = """window.fetch = ((plain, held) => Object.assign(async (address, options) => {
    if (address === "decide") await new Promise((go) => held.push(go));
    return plain(address, options);
}, { held }))(window.fetch, [])"""
"""Decisions wait on their way to the program until the test lets them go: `fetch.held.shift()()`."""


@pytest.fixture
def open_again(served: Served) -> Iterator[None]:
    """Take back what a test has decided."""
    yield
    left = json.loads(served.ask(f"{served.path}decisions")[1])["decisions"]
    for number, each in left.items():
        assert served.decide(query=int(number), decision="open", seen=each["change"])[0] == 200


def said(served: Served) -> dict[str, str]:
    told = json.loads(served.ask(f"{served.path}decisions")[1])["decisions"]
    return {number: each["individual"] or each["decision"] for number, each in told.items()}


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")
@pytest.mark.usefixtures("open_again")
def test_a_slow_decision_never_overwrites_what_another_reviewer_has_decided(served: Served, tmp_path: Path) -> None:
    with Browser(tmp_path / "browser") as page:
        page.open(served.address)
        page.value(f"{SLOWLY}; 0")
        page.press("u")  # on 0, while another reviewer decides on 0 and on 1
        assert served.decide(query=0, decision="same", individual="Ann")[0] == 200
        page.press("u")  # on 1
        assert served.decide(query=1, decision="same", individual="Bob")[0] == 200
        page.press("z")  # at once, before there is an answer
        for _ in range(2):
            page.until(lambda: page.value("fetch.held.length") == 1)
            page.value("fetch.held.shift()(); 0")
            page.until(lambda: page.value("fetch.held.length || !waiting.size"))
        page.until(lambda: not page.value("waiting.size"))
        assert said(served) == {"0": "Ann", "1": "Bob"}
        assert page.value("Object.values(decisions).map((each) => each.individual)") == ["Ann", "Bob"]
        assert "another reviewer has decided meanwhile" in page.text("#warning")
        assert page.value("history.length") == 0
        # what another one has replaced is not undone by this one
        page.value("go(2); 0")
        page.press("u")
        page.until(lambda: page.value("fetch.held.length") == 1)
        page.value("fetch.held.shift()(); 0")
        page.until(lambda: not page.value("waiting.size"))
        change = page.value("data.decisions[2].change")
        assert served.decide(query=2, decision="same", individual="Cy", seen=change)[0] == 200
        page.until(lambda: page.value("decisions[2].individual") == "Cy")  # looked up by itself
        page.press("z")
        assert "another reviewer has decided since" in page.text("#warning")
        assert said(served)["2"] == "Cy" and not page.value("waiting.size")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")
@pytest.mark.usefixtures("open_again")
def test_a_decision_that_does_not_arrive_is_open_again_and_named(served: Served, tmp_path: Path) -> None:
    with Browser(tmp_path / "browser") as page:
        page.open(served.address)
        page.value("window.plain = window.fetch; window.fetch = () => Promise.reject(new Error('gone')); 0")
        page.press("u")
        page.until(lambda: "Not kept: 0.png. The program" in page.text("#warning"))
        assert page.text("#count") == "0 of 5 decided" and page.value("history.length") == 0
        page.value("window.fetch = window.plain; 0")
        page.press("x")  # on 1; the warning stays until 0 is decided
        page.until(lambda: said(served) == {"1": "bad"})
        page.until(lambda: not page.value("waiting.size"))
        assert "Not kept: 0.png" in page.text("#warning") and page.text("#count") == "1 of 5 decided"
        page.value("go(0); 0")
        page.press("u")
        page.until(lambda: said(served) == {"0": "unsure", "1": "bad"} and not page.value("waiting.size"))
        assert page.value("part('warning').hidden")
        # undone one by one, also what was decided anew in between
        page.value("go(0); 0")
        page.press("1")
        page.press("z")
        page.press("z")
        page.press("z")
        page.until(lambda: not page.value("waiting.size"))
        assert said(served) == {} and page.value("part('warning').hidden")
        page.press("z")
        assert page.value("part('undo').disabled")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")
@pytest.mark.usefixtures("open_again")
def test_two_reviewers_name_two_strangers_at_once(served: Served, tmp_path: Path) -> None:
    with Browser(tmp_path / "one") as one, Browser(tmp_path / "two") as two:
        for number, page in enumerate((one, two)):
            page.open(served.address)
            page.value(f"{SLOWLY}; go({number}); 0")
            page.press("n")
        for page in (one, two):
            page.value("fetch.held.shift()(); 0")
            page.until(lambda page=page: not page.value("waiting.size"))
        names = said(served)
        assert len(set(names.values())) == 2 and set(names) == {"0", "1"}
        assert two.value("decisions[1].individual") == names["1"]


@pytest.mark.slow
def test_a_request_that_is_odd_is_answered_in_words(served: Served) -> None:
    for told in (
        {"query": 0, "decision": "unsure", "individual": "Ann"},
        {"query": 0, "decision": "new", "individual": "\ud800"},
        {"query": 0, "decision": "same", "individual": "Nobody", "rejected": ["\ud800"]},
    ):
        status, answer = served.decide(**told)
        assert status == 422 and answer["error"] and answer["decisions"] == {}
    assert served.ask(f"{served.path}decide", b"{}", **{"X-Token": "\xe9"})[0] == 403
    assert served.ask(served.path.rstrip("/"))[0] == served.ask("/guess/decisions")[0] == 404


def test_without_the_server_it_says_what_to_install(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from siamesekit.cli.app import app
    from siamesekit.gallery import review_server

    monkeypatch.setattr(review_server, "find_spec", lambda name: None)
    season_in(tmp_path / "new")
    result = CliRunner().invoke(app, ["review", str(place), str(tmp_path / "new")])
    assert result.exit_code == 2 and "pip install 'siamesekit[serve]'" in result.stderr.replace("\n", " ")
