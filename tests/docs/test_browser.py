"""The site in a real browser: pages have their title, and nothing that they ask for fails or comes from elsewhere."""

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from building import built

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH"),
]
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--virtual-time-budget=4000",
]  # fmt: skip
CHROMIUMS_OWN = ("accounts", "clients2", "update", "content-autofill", "optimizationguide-pa", "redirector")
"""Hosts of google.com and googleapis.com that chromium itself asks, whatever the page; none of them is reached here."""
SHOWN = {
    "": "siamesekit",
    "quickstart/": "Quickstart - siamesekit",
    "catalogue/losses/triplet/": "triplet - siamesekit",
    "reference/python/": "Python - siamesekit",
}


class Asked(ThreadingHTTPServer):
    """Serves a folder and keeps what it was asked for, and how it answered."""

    def __init__(self, folder: Path) -> None:
        self.answers: list[tuple[str, int]] = []
        super().__init__(("127.0.0.1", 0), partial(Keeping, directory=str(folder)))


class Keeping(SimpleHTTPRequestHandler):
    def log_request(self, code: object = "-", size: object = "-") -> None:
        assert isinstance(self.server, Asked)
        self.server.answers.append((self.path, int(getattr(code, "value", code))))  # type: ignore[call-overload]

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture(scope="module")
def site() -> Path:
    return built()


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
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.parametrize("path", SHOWN)
def test_a_page_opens_with_its_title_and_nothing_fails(server: Asked, path: str, tmp_path: Path) -> None:
    server.answers.clear()
    picture = tmp_path / "page.png"
    address = f"http://127.0.0.1:{server.server_port}/{path}"
    dom = browse(address, tmp_path / "profile", "--dump-dom", f"--log-net-log={tmp_path / 'net.json'}")
    titles = re.findall(r"<title>(.*?)</title>", dom)
    assert titles[0] == SHOWN[path]
    assert "<h1" in dom
    browse(address, tmp_path / "again", f"--screenshot={picture}", "--window-size=1400,1200")
    assert picture.stat().st_size > 20_000
    assert len(server.answers) >= 5
    assert [answer for answer in server.answers if answer[1] >= 400] == []
    asked = set(re.findall(r'"url":"\w+://([^/":]+)', (tmp_path / "net.json").read_text(encoding="utf-8")))
    assert "127.0.0.1" in asked
    own = re.compile(rf"({'|'.join(map(re.escape, CHROMIUMS_OWN))})\.(google|googleapis)\.com|127\.0\.0\.1")
    assert {host for host in asked if not own.fullmatch(host)} == set()
