"""A local web server of photos with faults, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler
from threading import Event
from typing import Any

from helpers import serving

Fault = Callable[["Handler", bytes], None]


@dataclass
class PhotoServer:
    """What a server has, what it was asked for, and how it fails.

    Attributes:
        url: its address.
        photos: content by path.
        faults: by path, what happens in place of the next answers; the photo is served after them.
        asked: method and path of each request.
        tagged: whether photos have an ETag.
        over: set at the end, so that what hangs ends.
    """

    url: str = ""
    photos: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    tagged: bool = True
    over: Event = field(default_factory=Event)

    def begin(self, photos: dict[str, bytes]) -> None:
        """Begin a test: with these photos, without faults."""
        self.photos, self.faults, self.asked, self.tagged, self.over = photos, {}, [], True, Event()

    def gets(self, path: str) -> int:
        """How often a photo was downloaded, or tried to."""
        return self.asked.count(("GET", path))


class Handler(BaseHTTPRequestHandler):
    """Answers for a `PhotoServer`."""

    protocol_version = "HTTP/1.1"

    def __init__(self, server: PhotoServer, *arguments: Any) -> None:
        self.of = server
        super().__init__(*arguments)

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        """Answer as the server's faults and photos say."""
        self.of.asked.append((self.command, self.path))
        path = self.path.partition("?")[0]
        content = self.of.photos.get(path)
        faults = self.of.faults.get(path, [])
        if faults:
            faults.pop(0)(self, content or b"")
        elif content is None:
            self.status(404)
        else:
            self.headers_of(content)
            if self.command == "GET":
                self.wfile.write(content)

    def headers_of(self, content: bytes) -> None:
        """The head of an answer with a photo."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        if self.of.tagged:
            self.send_header("ETag", f'"{hash(content):x}"')
        self.end_headers()

    def status(self, code: int, **headers: str) -> None:
        """An answer without content."""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


def status(code: int, **headers: str) -> Fault:
    """An answer with a status and no content."""
    return lambda handler, _: handler.status(code, **headers)


def sound(handler: Handler, content: bytes) -> None:
    """No fault."""
    handler.headers_of(content)
    if handler.command == "GET":
        handler.wfile.write(content)


def cut(handler: Handler, content: bytes) -> None:
    """Half of the content, then the end of the connection."""
    handler.headers_of(content)
    handler.wfile.write(content[: len(content) // 2])
    handler.close_connection = True


def hang(handler: Handler, content: bytes) -> None:
    """Nothing, until the test ends."""
    handler.of.over.wait(20)
    handler.close_connection = True


def trickle(handler: Handler, content: bytes) -> None:
    """A byte now and then, until the test ends."""
    handler.headers_of(content)
    for place in range(len(content)):
        if handler.of.over.wait(0.05):
            break
        handler.wfile.write(content[place : place + 1])
    handler.close_connection = True


def endless(handler: Handler, content: bytes) -> None:
    """Far more than was declared to `HEAD`, without a length."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    for _ in range(200):
        if handler.of.over.is_set():
            break
        handler.wfile.write(bytes(10_000))


@contextmanager
def photo_server() -> Iterator[PhotoServer]:
    """A running server."""
    server = PhotoServer()
    with serving(partial(Handler, server)) as url:
        server.url = url
        try:
            yield server
        finally:
            server.over.set()
