"""Pieces that several test files make their cases of; `conftest.py` has those that need a project, a run or an encoder.

It imports little, so that a test's child process can import it too.
"""

from __future__ import annotations

import io
import shutil
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
UNEVEN = torch.tensor([7, -2, 7, 40, -2, 7, 9_000_000_000, -2, 40, 7])
"""Labels of any values, uneven, one alone."""


def points(seed: int, count: int = 7, dim: int = 5) -> Tensor:
    """Normal embeddings, float64 `[count, dim]`."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, dim)))


def labels_of(counts: Sequence[int], seed: int = 0) -> NDArray[np.int64]:
    """Labels of individuals with so many photos each, shuffled: `[sum of counts]`."""
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


def rows_of(tuples: Iterable[Tensor]) -> list[tuple[int, ...]]:
    """Triplets, or columns of pairs, as one tuple of indices each."""
    return list(zip(*(index.tolist() for index in tuples), strict=True))


def photos_of(batches: Iterable[Any]) -> list[tuple[int, ...]]:
    """The triplets of a sampler's batches as indices into all photos."""
    return [row for batch in batches for row in rows_of(batch.images[index] for index in batch.triplets)]


def assert_same_gradients(
    found: Tensor,
    expected: Tensor,
    inputs: Tensor | Sequence[Tensor],
    *,
    above: float | None = None,
    rtol: float = 1e-7,
    atol: float = 0.0,
) -> None:
    """Two objectives have the same gradients; where `above` is told, each of them has an entry beyond it."""
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    ours, theirs = (torch.autograd.grad(objective, inputs) for objective in (found, expected))
    for mine, other in zip(ours, theirs, strict=True):
        if above is not None:
            assert other.abs().max() > above
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=atol)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    """A picture as a file's content."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int = 8, colour: int = 2, data: bytes = b"\0", extra: bytes = b"") -> bytes:
    """A PNG whose header declares a size, with hardly any data behind it, unless some is given."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def written(folder: Path, content: bytes, name: str = "photo.jpg") -> Path:
    """A file with this content."""
    file = folder / name
    file.write_bytes(content)
    return file


def touched(root: Path, *names: str) -> Path:
    """A folder with empty files of these names."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


class Crash(BaseException):
    """As if the process died there."""


class Stalling(BaseHTTPRequestHandler):
    """Promises a million bytes, sends ten, and then nothing until the test is over; or from the first not a byte."""

    over = Event()
    silent = False

    def do_GET(self) -> None:
        if not self.silent:
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"0123456789")
            self.wfile.flush()
        self.over.wait(30)

    def log_message(self, *args: object) -> None: ...


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a local server; what stalls is let go at the end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever)
    thread.start()
    Stalling.over.clear()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        Stalling.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
