"""Downloads within bounds: servers that hang, fail, cut, redirect or send too much; and what is said of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from photo_server import PhotoServer, cut, endless, hang, photo_server, sound, status, trickle
from siamesekit.data.photo_files import UnreadableError, content_of
from siamesekit.data.remote import servers
from siamesekit.errors import DataError
from siamesekit.files.remote_address import RemoteFolder, RemotePhoto

pytest.importorskip("aiohttp", reason="photos of the web need aiohttp: pip install 'siamesekit[remote]'")
CONTENT = bytes(range(256)) * 400


@pytest.fixture(scope="module")
def running() -> Iterator[PhotoServer]:
    """A server for all tests: its end takes half a second."""
    with photo_server() as server:
        yield server


@pytest.fixture
def web(running: PhotoServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[PhotoServer]:
    """A server with one photo, short pauses and a cache of its own."""
    monkeypatch.setattr(servers, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(servers, "SILENCE", 0.3)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    running.begin({"/p/1.jpg": CONTENT})
    yield running
    running.over.set()


def photo(web: PhotoServer, name: str = "1.jpg") -> RemotePhoto:
    """A photo of the server."""
    return RemoteFolder.of(f"{web.url}/p").photo(name)


def content(web: PhotoServer, name: str = "1.jpg") -> bytes:
    """Its content."""
    with content_of(photo(web, name)) as found:
        return found


def test_a_photo_is_downloaded_once_while_it_does_not_change(web: PhotoServer) -> None:
    assert content(web) == content(web) == CONTENT
    assert web.gets("/p/1.jpg") == 1
    web.photos["/p/1.jpg"] = CONTENT[::-1]  # replaced by one of the same size
    assert content(web) == CONTENT[::-1]
    assert web.gets("/p/1.jpg") == 2


def test_without_a_version_a_photo_is_downloaded_anew(web: PhotoServer) -> None:
    web.tagged = False
    for version in (CONTENT, CONTENT[::-1]):
        web.photos["/p/1.jpg"] = version
        assert content(web) == version


@pytest.mark.parametrize("code", [429, 500, 503])
def test_two_errors_and_then_the_photo(web: PhotoServer, code: int) -> None:
    web.faults["/p/1.jpg"] = [sound, status(code), status(code)]
    assert content(web) == CONTENT


def test_a_body_that_is_cut_twice_and_then_whole(web: PhotoServer) -> None:
    web.faults["/p/1.jpg"] = [sound, cut, cut]
    assert content(web) == CONTENT


def test_a_body_that_is_always_cut_is_that_photos_fault_and_leaves_nothing(web: PhotoServer, tmp_path: Path) -> None:
    web.faults["/p/1.jpg"] = [sound, *[cut] * 10]
    with pytest.raises(UnreadableError, match="arrives incomplete in 4 attempts"):
        content(web)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_server_that_always_fails_ends_the_command(web: PhotoServer) -> None:
    web.faults["/p/1.jpg"] = [status(500)] * 20
    with pytest.raises(DataError) as caught:
        content(web, f"{web.url}/p/1.jpg?sig=secret")
    told = caught.value.message
    assert told.startswith(f"{web.url}/p/1.jpg: {web.url} answers with error 500, in 4 attempts; ")
    assert "secret" not in told


@pytest.mark.medium
@pytest.mark.parametrize("before", [[], [sound]], ids=["at once", "in the download"])
def test_a_server_that_hangs_is_given_up_within_the_bound(
    web: PhotoServer, before: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "PAUSES", (0.0,))
    web.faults["/p/1.jpg"] = [*before, *[hang] * 5]  # type: ignore[list-item]
    begun = time.monotonic()
    with pytest.raises(DataError, match=r"1\.jpg: http://127\.0\.0\.1:\d+ .*in 2 attempts"):
        content(web)
    assert time.monotonic() - begun < 3


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(web: PhotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "PAUSES", ())
    web.faults["/p/1.jpg"] = [sound, trickle]
    with pytest.raises(DataError, match=r"does not answer; \d+ bytes arrived"):
        content(web)


def test_a_server_that_sends_too_much_is_stopped(
    web: PhotoServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in ("siamesekit.data.remote.servers", "siamesekit.data.photo_limits"):
        monkeypatch.setattr(f"{module}.MAX_PHOTO_BYTES", 200_000)
    web.faults["/p/1.jpg"] = [sound, endless]
    with pytest.raises(UnreadableError, match="is too large"):
        content(web)
    web.photos["/p/1.jpg"] = bytes(200_001)
    with pytest.raises(UnreadableError, match="is too large"):
        content(web)
    assert web.gets("/p/1.jpg") == 1  # the second one by its declared size
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize(
    ("code", "message"), [(404, "does not exist on http://"), (410, "does not exist"), (403, "may not be read")]
)
def test_a_photo_that_is_missing_or_forbidden_is_asked_once(web: PhotoServer, code: int, message: str) -> None:
    web.faults["/p/1.jpg"] = [status(code)] * 20
    with pytest.raises(UnreadableError, match=message):
        content(web)
    assert len(web.asked) == 2  # HEAD, and GET for servers that have no HEAD


def test_a_redirect_is_followed_below_the_root_only(web: PhotoServer) -> None:
    web.photos["/p/2.jpg"], web.photos["/q/1.jpg"] = b"below", b"elsewhere"
    web.faults["/p/1.jpg"] = [status(302, Location="/p/2.jpg"), status(302, Location="/p/2.jpg")]
    assert content(web) == b"below"
    for target in ("/q/1.jpg", "http://169.254.169.254/latest?key=secret", "/q?key=secret", "file:///etc/passwd"):
        web.faults["/p/1.jpg"] = [status(302, Location=target)] * 20
        with pytest.raises(UnreadableError, match="nothing else is fetched") as caught:
            content(web)
        assert "secret" not in str(caught.value)
    assert ("GET", "/q/1.jpg") not in web.asked


@pytest.mark.usefixtures("web")
def test_nothing_listens() -> None:
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9 fails \(.*\), in 4 attempts"):
        _at("http://127.0.0.1:9/p")


def _at(root: str) -> bytes:
    with content_of(RemoteFolder.of(root).photo("1.jpg")) as found:
        return found


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for root, package, advice in [
        ("s3://bucket/missing", "s3fs", r"pip install 'siamesekit\[remote\]'"),
        ("gs://bucket/missing", "gcsfs", "pip install gcsfs"),
        ("https://host/missing", "fsspec", r"pip install 'siamesekit\[remote\]'"),
    ]:
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(DataError, match=f"need {package}: {advice}"):
            _at(root)
        monkeypatch.undo()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
