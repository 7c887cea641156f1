"""Serve the page of a match to this machine only.

The address has a secret path. A request is answered only if it has that path, asks this host by its own name, and, if
the browser tells which page asks, comes from this one. Nothing is served but the page and the pictures that it shows.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from secrets import compare_digest, token_urlsafe
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from siamesekit.errors import SiamesekitError, UserError
from siamesekit.gallery.match_folder import PICTURES, note_of, title_of, write_pictures
from siamesekit.gallery.match_page import page as page_of
from siamesekit.gallery.match_page import page_facts, with_names
from siamesekit.gallery.reviewing import DecidedMeanwhileError, Review

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from siamesekit.gallery.catalogue import Catalogue
    from siamesekit.gallery.matching import Matches
    from siamesekit.progress import Progress

LARGEST = 1 << 20
"""Most bytes of a request's body: a decision, with the names of all candidates that it rejects."""
PATIENCE = 30
"""Seconds to wait for a request's body."""
HOSTS = ("127.0.0.1", "localhost")
"""Names by which this machine may be asked."""
HTTP = 80
"""The port that browsers leave out of an address."""
PIECES = 100
"""Pieces of the page, most of them a query each, that are sent at a time."""
SECRET = 24
"""Random bytes in the secret part of the address."""


def require_server() -> None:
    """Check, before any work, that the page can be served.

    Raises:
        UserError: Starlette or uvicorn is not installed.
    """
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise UserError("a review needs Starlette and uvicorn: pip install 'siamesekit[serve]'")


def review_season(catalogue: Catalogue, matches: Matches, port: int, progress: Progress) -> None:
    """Serve the page of a match until interrupted; each decision goes into the catalogue at once.

    Args:
        catalogue: the catalogue.
        matches: the queries.
        port: the port; 0 for any that is free.
        progress: progress display, which is told the address.

    Raises:
        UserError: the port cannot be used, or Starlette or uvicorn is not installed.
    """
    require_server()
    with TemporaryDirectory(prefix="siamesekit-review-") as folder:
        pictures = Path(folder, PICTURES)
        pictures.mkdir()
        written = write_pictures(pictures, catalogue, matches.queries, progress)
        facts = page_facts(catalogue.path, matches.queries, list(catalogue.individuals()), written)

        def make(secret: str, port: int) -> Starlette:
            def shown(said: Mapping[int, Any], renamed: Mapping[str, str]) -> Iterator[str]:
                served = with_names(facts, renamed)
                own = {"serve": True, "token": secret, "decisions": said, "author": catalogue.author}
                served = replace(served, head={**served.head, **own})
                return page_of(title_of(catalogue), served, note_of(matches), connect="'self'")

            def review() -> Review:
                return Review(catalogue.path, matches.queries, catalogue.author, catalogue.device)

            return application(secret, shown, pictures, review, port)

        serve(make, port, lambda address: progress.say(f"review at {address} (Ctrl-C ends)"))


def application(
    secret: str,
    page: Callable[[Mapping[int, Any], Mapping[str, str]], Iterator[str]],
    pictures: Path,
    review: Callable[[], Review],
    port: int,
) -> Starlette:
    """The program that answers the browser.

    Args:
        secret: the first part of every path.
        page: makes the page, piece by piece, given what is decided and the new names of individuals by their names at
            the start.
        pictures: folder of the pictures.
        review: opens the review; it is called in the thread that uses it.
        port: the port that is asked.
    """
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect
    from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
    from starlette.routing import Route

    shown = {file.name for file in pictures.iterdir() if file.suffix == ".jpg"}
    addresses = {f"{host}:{port}" for host in HOSTS} | ({*HOSTS} if port == HTTP else set())
    thread = ThreadPoolExecutor(1)  # the catalogue's only user here
    opened: list[Review] = []

    async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(thread, partial(work, *arguments))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        opened.append(await in_thread(review))
        yield
        await in_thread(opened[0].close)
        thread.shutdown()

    def guarded(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            origin = request.headers.get("origin")
            if request.headers.get("host") not in addresses:
                return PlainTextResponse("unknown host", 403)
            if origin is not None and origin.removeprefix("http://") not in addresses:
                return PlainTextResponse("another page's request", 403)
            if not _is(request.path_params["secret"], secret):
                return PlainTextResponse("no such page", 404)
            response = await answer(request)
            response.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
                                     "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"})  # fmt: skip
            return response

        return checked

    async def said() -> dict[int, Any]:
        """What is decided; read in the catalogue's thread, which may be changing it."""
        found: dict[int, Any] = await in_thread(opened[0].said)
        return found

    async def show(_: Request) -> Response:
        try:
            pieces = page(await said(), await in_thread(lambda: opened[0].renamed()))
        except SiamesekitError as error:
            return PlainTextResponse(str(error), 503)
        return StreamingResponse(_joined(pieces), media_type="text/html")

    async def picture(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in shown:
            return PlainTextResponse("no such picture", 404)
        return Response((pictures / name).read_bytes(), media_type="image/jpeg")

    async def told(_: Request) -> Response:
        try:
            return JSONResponse({"decisions": await said()})
        except SiamesekitError as error:
            return JSONResponse({"error": str(error)}, 503)

    async def put(request: Request) -> Response:
        if not _is(request.headers.get("x-token", ""), secret):
            return PlainTextResponse("the token is missing", 403)
        too_large = JSONResponse({"error": "this is too large for a decision"}, 413)
        if int(request.headers.get("content-length", 0)) > LARGEST:
            return too_large
        body = bytearray()
        try:
            async with asyncio.timeout(PATIENCE):
                async for part in request.stream():
                    body += part
                    if len(body) > LARGEST:
                        return too_large
            arguments = _arguments(json.loads(body))
        except (ValueError, RecursionError, TimeoutError, ClientDisconnect):
            return JSONResponse({"error": "this is no decision"}, 400)
        error, status = "", 200
        try:
            await in_thread(opened[0].put, *arguments)
        except DecidedMeanwhileError as meanwhile:
            error, status = f"{meanwhile}: another reviewer has decided meanwhile; look again", 409
        except SiamesekitError as refused:
            error, status = " ".join([str(refused), *getattr(refused, "details", ())]), 422
        try:
            return JSONResponse({"error": error, "decisions": await said()}, status)
        except SiamesekitError as unreadable:
            return JSONResponse({"error": error or str(unreadable)}, status)

    routes = [
        Route("/{secret}/", guarded(show)),
        Route("/{secret}/pictures/{name}", guarded(picture)),
        Route("/{secret}/decisions", guarded(told)),
        Route("/{secret}/decide", guarded(put), methods=["POST"]),
    ]
    answering = Starlette(routes=routes, lifespan=lifespan)
    answering.router.redirect_slashes = False  # nothing is answered without the secret
    return answering


def serve(make: Callable[[str, int], Starlette], port: int, ready: Callable[[str], None]) -> None:
    """Serve on this machine only, until interrupted.

    Args:
        make: makes the application for a secret and a port.
        port: the port; 0 for any that is free.
        ready: told the address when the browser may ask.

    Raises:
        UserError: the port cannot be used.
    """
    import uvicorn

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        try:
            listening.bind((HOSTS[0], port))
            listening.listen()  # a browser that asks too early waits
        except OSError as error:
            raise UserError(f"port {port} cannot be used: {error.strerror}; choose another with --port") from None
        port, secret = listening.getsockname()[1], token_urlsafe(SECRET)
        configuration = uvicorn.Config(
            make(secret, port), log_level="error", access_log=False, server_header=False, timeout_graceful_shutdown=5
        )
        ready(f"http://{HOSTS[0]}:{port}/{secret}/")
        uvicorn.Server(configuration).run(sockets=[listening])


def _joined(pieces: Iterator[str]) -> Iterator[str]:
    """Pieces of a page in larger ones: each that is sent is a change of threads."""
    while some := list(islice(pieces, PIECES)):
        yield "".join(some)


def _is(given: str, secret: str) -> bool:
    """Whether this is the secret; the time that it takes does not tell how much of it is right."""
    return compare_digest(given.encode(errors="replace"), secret.encode())


def _arguments(told: Any) -> tuple[int, str, str, list[str], int | None, bool, str]:
    """The arguments of `Review.put`.

    Raises:
        ValueError: the types are others.
    """
    match told:
        case {
            "query": int(number),
            "decision": str(word),
            "individual": str(individual),
            "rejected": [*rejected],
            "seen": int() | None as seen,
            "fresh": bool(fresh),
        } if all(isinstance(each, str) for each in rejected) and not isinstance(number, bool):
            author = told.get("author", "")
            if isinstance(author, str):
                return number, word, individual, rejected, seen, fresh, author
    raise ValueError("not a decision")
