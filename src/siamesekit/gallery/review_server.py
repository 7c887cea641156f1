"""Serve the page of a match to this machine only.

The address has a secret path. A request is answered only if it has that path, asks this host by its own name, and, if
the browser tells which page asks, comes from this one. Nothing is served but the page and the pictures that it shows.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from secrets import token_urlsafe
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from siamesekit.errors import SiamesekitError, UserError
from siamesekit.gallery.match_folder import PICTURES, note_of, title_of, write_pictures
from siamesekit.gallery.match_page import page as page_of
from siamesekit.gallery.match_page import page_facts
from siamesekit.gallery.reviewing import DecidedMeanwhileError, Review

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from siamesekit.gallery.catalogue import Catalogue
    from siamesekit.gallery.matching import Matches
    from siamesekit.progress import Progress

LARGEST = 64 << 10
"""Most bytes of a request's body."""
HOSTS = ("127.0.0.1", "localhost")
"""Names by which this machine may be asked."""
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
        images = write_pictures(pictures, catalogue, matches.queries, progress)
        facts = page_facts(matches.queries, list(catalogue.individuals()), images)

        def make(secret: str, port: int) -> Starlette:
            def shown(said: Mapping[int, Any]) -> str:
                served = facts | {"serve": True, "token": secret, "decisions": said}
                return page_of(title_of(catalogue), served, note_of(matches), connect="'self'")

            def review() -> Review:
                return Review(catalogue.path, matches.queries, catalogue.author, catalogue.device)

            return application(secret, shown, pictures, review, port)

        serve(make, port, lambda address: progress.say(f"review at {address} (Ctrl-C ends)"))


def application(
    secret: str, page: Callable[[Mapping[int, Any]], str], pictures: Path, review: Callable[[], Review], port: int
) -> Starlette:
    """The program that answers the browser.

    Args:
        secret: the first part of every path.
        page: makes the page, given what is decided.
        pictures: folder of the pictures.
        review: opens the review; it is called in the thread that uses it.
        port: the port that is asked.
    """
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    shown = {file.name for file in pictures.iterdir() if file.suffix == ".jpg"}
    addresses = {f"{host}:{port}" for host in HOSTS}
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
            response = await answer(request)
            response.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
                                     "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"})  # fmt: skip
            return response

        return checked

    async def show(_: Request) -> Response:
        return HTMLResponse(page(opened[0].said))

    async def picture(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in shown:
            return PlainTextResponse("no such picture", 404)
        return Response((pictures / name).read_bytes(), media_type="image/jpeg")

    async def told(_: Request) -> Response:
        return JSONResponse({"decisions": opened[0].said})

    async def put(request: Request) -> Response:
        if request.headers.get("x-token") != secret:
            return PlainTextResponse("the token is missing", 403)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LARGEST:
                return PlainTextResponse("too large", 413)
        try:
            arguments = _arguments(json.loads(body))
        except (ValueError, RecursionError):
            return JSONResponse({"error": "this is no decision"}, 400)
        error, status = "", 200
        try:
            await in_thread(opened[0].put, *arguments)
        except DecidedMeanwhileError as meanwhile:
            error, status = f"{meanwhile}: another reviewer has decided meanwhile; look again", 409
        except SiamesekitError as refused:
            error, status = " ".join([str(refused), *getattr(refused, "details", ())]), 422
        return JSONResponse({"error": error, "decisions": opened[0].said}, status)

    routes = [
        Route(f"/{secret}/", guarded(show)),
        Route(f"/{secret}/pictures/{{name}}", guarded(picture)),
        Route(f"/{secret}/decisions", guarded(told)),
        Route(f"/{secret}/decide", guarded(put), methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


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


def _arguments(told: Any) -> tuple[int, str, str, list[str], int | None]:
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
        } if all(isinstance(each, str) for each in rejected) and not isinstance(number, bool):
            return number, word, individual, rejected, seen
    raise ValueError("not a decision")
