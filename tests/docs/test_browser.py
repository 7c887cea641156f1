"""The site in a real browser: pages have their title, and nothing that they ask for fails or comes from elsewhere."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from building import built
from helpers import CHROMIUM

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH"),
]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
CHROMIUMS_OWN = ("accounts", "clients2", "update", "content-autofill", "optimizationguide-pa", "redirector")
"""Hosts of google.com and googleapis.com that chromium itself asks, whatever the page; none of them is reached here."""
BUDGET = "--virtual-time-budget=4000"
LONGEST_SEARCH = 60
"""Seconds that the search's worker may take to read its index and answer the first word, and then all words."""
TYPING = """<!doctype html><title>typing</title>
<iframe src="/" width="1400" height="900"></iframe><img src="/until-told">
<script>
const site = document.querySelector("iframe");
const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
site.onload = async () => {
  const inside = site.contentDocument;
  const field = inside.querySelector("[data-md-component=search-query]");
  const said = () => inside.querySelector(".md-search-result__meta").textContent.trim();
  const type = async (word, done) => {
    field.value = word;
    const key = word.at(-1) ?? "Backspace";
    field.dispatchEvent(new site.contentWindow.KeyboardEvent("keyup", { key, bubbles: true }));
    while (!done(said())) await pause();
  };
  const told = {};
  field.focus();
  for (const word of WORDS) {
    await type(word, (text) => /matching/.test(text));
    const links = [...inside.querySelectorAll(".md-search-result__link")];
    told[word] = { said: said(), places: links.map((link) => new URL(link.href).pathname) };
    await type("", (text) => !/matching/.test(text));
  }
  fetch("/told", { method: "POST", body: JSON.stringify(told) });
};
</script>"""
"""A page that types words into the site's search, one after the other, and tells the server what is found. Its picture
comes when that is told, so that chromium, which stops when a page is loaded, stays: the search runs in a worker, in its
own time."""
SHOWN = {
    "": "siamesekit",
    "quickstart/": "Quickstart - siamesekit",
    "catalogue/losses/triplet/": "triplet - siamesekit",
    "reference/python/": "Python - siamesekit",
    "reference/python/run/": "Run - siamesekit",
    "guides/install/": "Install - siamesekit",
}

FOUND: list[tuple[str, str | None]] = [
    # what is on a page is found by its parts
    ("semi-hard", "/catalogue/miners/semi-hard/"),
    ("triplet", "/catalogue/losses/triplet/"),
    ("train_from", "/reference/config/"),
    ("count_triplets", "/reference/python/write-components/"),
    ("dinov2", "/catalogue/encoders/timm/"),
    ("vit_small_patch14_dinov2", "/catalogue/encoders/timm/"),
    ("megadescriptor", "/catalogue/encoders/timm/"),
    ("convnext", "/catalogue/encoders/timm/"),
    ("resnet50", "/catalogue/encoders/torchvision/"),
    ("metrics.jsonl", "/guides/other-tools/"),
    # what is asked for leads to what there is
    ("which whale", "/guides/catalogue/"),
    ("who is it", "/guides/catalogue/"),
    ("identify", "/guides/catalogue/"),
    ("re-identification", "/guides/catalogue/"),
    ("whale experiment", "/whales/"),
    ("how many photos", "/guides/enough/"),
    ("install", "/guides/install/"),
    ("clone", "/guides/install/"),
    ("uninstall", "/guides/install/"),
    ("heic", "/guides/data/"),
    ("resume", "/guides/reproduce/"),
    ("multi-gpu", "/scale/"),
    ("several GPUs", "/scale/"),
    # and to what is not there, with a way round
    ("onnx", "/guides/export/"),
    ("tensorboard", "/guides/other-tools/"),
    ("wandb", "/guides/other-tools/"),
    ("weights & biases", "/guides/other-tools/"),
    ("callback", "/guides/other-tools/"),
    ("lightning", "/guides/other-tools/"),
    ("t-SNE", "/guides/other-tools/"),
    ("umap", "/guides/other-tools/"),
    ("confusion", "/guides/other-tools/"),
    ("merge", "/guides/other-tools/"),
    ("zzyzx", None),
]
"""What is typed into the search, and the page that it leads to."""


class Asked(ThreadingHTTPServer):
    """Serves a folder and keeps what it was asked for, and how it answered."""

    def __init__(self, folder: Path) -> None:
        self.answers: list[tuple[str, int]] = []
        self.told: dict[str, dict[str, Any]] = {}
        self.is_told = threading.Event()
        super().__init__(("127.0.0.1", 0), partial(Keeping, directory=str(folder)))


class Keeping(SimpleHTTPRequestHandler):
    server: Asked

    def do_GET(self) -> None:
        if self.path == "/typing.html":
            self._send(
                TYPING.replace("WORDS", json.dumps([words for words, _ in FOUND])).encode(), "text/html; charset=utf-8"
            )
        elif self.path == "/until-told":
            self.server.is_told.wait(2 * LONGEST_SEARCH)
            self._send(b"", "image/png")
        else:
            super().do_GET()

    def do_POST(self) -> None:
        self.server.told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.is_told.set()
        self._send(b"", "text/plain")

    def _send(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        self.server.answers.append((self.path, int(getattr(code, "value", code))))  # type: ignore[call-overload]

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory)


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[Asked]:
    serving = Asked(site)
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    yield serving
    serving.shutdown()
    thread.join()
    serving.server_close()


def browse(address: str, profile: Path, *more: str) -> str:
    """What chromium prints; names that are not this machine do not resolve."""
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}",
               "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", *more, address]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=150, check=True).stdout


@pytest.mark.parametrize("path", SHOWN)
def test_a_page_opens_with_its_title_and_nothing_fails(server: Asked, path: str, tmp_path: Path) -> None:
    server.answers.clear()
    picture = tmp_path / "page.png"
    address = f"http://127.0.0.1:{server.server_port}/{path}"
    dom = browse(address, tmp_path / "profile", BUDGET, "--dump-dom", f"--log-net-log={tmp_path / 'net.json'}")
    titles = re.findall(r"<title>(.*?)</title>", dom)
    assert titles[0] == SHOWN[path]
    assert "<h1" in dom
    browse(address, tmp_path / "again", BUDGET, f"--screenshot={picture}", "--window-size=1400,1200")
    assert picture.stat().st_size > 20_000
    assert len(server.answers) >= 5
    assert [answer for answer in server.answers if answer[1] >= 400] == []
    asked = set(re.findall(r'"url":"\w+://([^/":]+)', (tmp_path / "net.json").read_text(encoding="utf-8")))
    assert "127.0.0.1" in asked
    own = re.compile(rf"({'|'.join(map(re.escape, CHROMIUMS_OWN))})\.(google|googleapis)\.com|127\.0\.0\.1")
    assert {host for host in asked if not own.fullmatch(host)} == set()


@pytest.fixture(scope="module")
def found(server: Asked, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the search finds for each of the words."""
    address = f"http://127.0.0.1:{server.server_port}/typing.html"
    browse(address, tmp_path_factory.mktemp("typing") / "profile", "--dump-dom")
    assert server.told, f"the search says nothing for {2 * LONGEST_SEARCH} seconds"
    return server.told


@pytest.mark.parametrize(("words", "place"), FOUND)
def test_what_is_typed_into_the_search_leads_to_its_page_first(
    found: dict[str, dict[str, Any]], words: str, place: str | None
) -> None:
    first = list(dict.fromkeys(found[words]["places"]))[:2]
    assert (place in first) if place else first == [], found[words]
    assert bool(re.match(r"\d+ matching", found[words]["said"])) == bool(place), found[words]
