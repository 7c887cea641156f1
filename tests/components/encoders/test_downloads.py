"""Weights from a server: whole in the cache or not there, in bounded waits, and every failure in words."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from helpers import Stalling, serving
from siamesekit.components.encoders import backbone
from siamesekit.components.encoders.backbone import DownloadError
from siamesekit.components.encoders.downloads import from_url
from siamesekit.errors import OutputError

CONTENT = bytes(range(256)) * 1000


class Server(BaseHTTPRequestHandler):
    """Answers by its path: whole, cut, missing, slow."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if "missing" in self.path:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if "cut" in self.path or "still" in self.path:
            self.wfile.write(CONTENT[:1000])
            self.wfile.flush()
            if "still" in self.path:
                Stalling.over.wait(30)
            return
        self.wfile.write(CONTENT)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The server's address and what it has been asked for; the cache is `tmp_path / "cache"`."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = type("Asked", (Server,), {"asked": []})
    with serving(handler) as url:
        yield url, handler.asked  # type: ignore[attr-defined]


def cached(tmp_path: Path) -> list[str]:
    return [file.name for file in (tmp_path / "cache" / "hub" / "checkpoints").iterdir()]


@pytest.mark.medium
@pytest.mark.parametrize("name", [f"net-{sha256(CONTENT).hexdigest()[:8]}.pth", "net.pth", "net-of-two.pth"])
def test_a_file_is_downloaded_once(server: tuple[str, list[str]], tmp_path: Path, name: str) -> None:
    url, asked = server
    for _ in range(2):
        assert from_url(f"{url}/a/{name}?x=1").read_bytes() == CONTENT
    assert asked == [f"/a/{name}?x=1"]
    assert cached(tmp_path) == [name]


@pytest.mark.medium
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.pth", "^127.0.0.1:.* answers 404 Not Found$"),
        ("cut.pth", "^127.0.0.1:.* (sent 1,000 of 256,000 bytes|cannot be reached)"),
        ("still.pth", "^127.0.0.1:.* timed out: no answer for 1 s$"),
        ("net-00000000.pth", r"^the file from 127.0.0.1:.* does not have the SHA-256 in its name \(00000000 …\)$"),
    ],
)
def test_what_is_not_whole_is_not_kept(
    server: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    monkeypatch.setattr(backbone, "STALL_SECONDS", 1.0)
    start = time.monotonic()
    with pytest.raises(DownloadError, match=says):
        from_url(f"{server[0]}/{name}")
    assert time.monotonic() - start < 10
    assert cached(tmp_path) == []
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:9/net.pth", r"^127.0.0.1:9 cannot be reached \(Connection refused\)$"),
        ("http://nowhere.invalid/net.pth", r"^nowhere.invalid cannot be reached \("),
    ],
)
def test_a_server_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, says: str
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(DownloadError, match=says):
        from_url(url)


def test_a_full_disk_is_not_taken_for_the_network(
    server: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def full(path: Path, mode: str = "r", *given: Any, **options: Any) -> Any:
        return real(Path("/dev/full"), "wb", buffering=0) if mode == "wb" else real(path, mode, *given, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OutputError, match=r"net\.pth cannot be written: No space left on device"):
        from_url(f"{server[0]}/net.pth")
