"""Download photos within bounds: of time, attempts and size, and from below their folder only.

A fault of one photo, such as a missing one, is an `UnreadableError`, which a command may pass over. A server that does
not serve is a `DataError`, which ends the command: photos are never left out because of a bad connection.
"""

from __future__ import annotations

import errno
import importlib
import os
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import wait
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from siamesekit.data.photo_limits import UnreadableError, check_length
from siamesekit.errors import DataError
from siamesekit.files.remote_address import (
    PACKAGES,
    WEB,
    RemoteFolder,
    RemotePhoto,
    without_account,
    without_query,
    without_secrets,
)
from siamesekit.files.untrusted import MAX_PHOTO_BYTES

SILENCE = 30.0
"""Seconds without a byte after which an attempt is given up."""
LISTING = 1200.0
"""Seconds that the list of a folder may take, enough for some million photos."""
SLOWEST = 20_000
"""Bytes per second that a download must reach, beyond the first `SILENCE` seconds."""
PAUSES = (0.5, 1.0, 2.0)
"""Seconds between attempts; there is one attempt more."""
_VERSION = ("ETag", "etag", "md5Hash", "generation", "Content-MD5", "content_md5", "Digest", "VersionId",
            "LastModified", "Last-Modified", "last_modified", "updated", "mtime", "created")  # fmt: skip
"""Facts by which servers tell whether a photo has changed."""
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_GONE, _REFUSED = (404, 410), (401, 403)
_OPENING = Lock()
Found = TypeVar("Found")


class PhotoState(NamedTuple):
    """What a server says about a photo.

    Attributes:
        size: its bytes; None if the server does not say.
        version: changes with its content; empty if the server tells nothing by which a change would show.
    """

    size: int | None
    version: str


class _CutShortError(Exception):
    """A download that ends early: (what arrived)."""


class _RedirectError(Exception):
    """A server sends the reader elsewhere: (the place)."""


class _Received:
    """Counts the bytes that arrive; to fsspec, it is a callback."""

    def __init__(self, limit: int) -> None:
        self.bytes, self.limit = 0, limit

    def relative_update(self, more: int = 1) -> None:
        """Count further bytes.

        Raises:
            UnreadableError: they are more than a photo may have.
        """
        self.bytes += more
        if self.bytes > self.limit:
            check_length(max(self.bytes, MAX_PHOTO_BYTES + 1))

    def set_size(self, size: int | None) -> None:
        """The size that the server has declared; it is not needed."""


def state_of(photo: RemotePhoto) -> PhotoState:
    """Ask the server for the state of a photo.

    Raises:
        UnreadableError: there is no such photo, or it may not be read.
        DataError: the server does not serve, or a package is missing.
    """

    def ask() -> PhotoState:
        system = filesystem(photo.folder)
        found = _bounded(system, "info", _address(photo), (), _Received(MAX_PHOTO_BYTES))
        if found.get("type") == "directory":
            raise UnreadableError("is a folder, not a photo", "choose a photo in it")
        facts = [f"{key} {found[key]}" for key in _VERSION if found.get(key)]
        size = found.get("size")
        return PhotoState(None if size is None else int(size), "\n".join([*facts, f"{size}"]) if facts else "")

    return _tried(photo.url, photo.folder, ask)


def download(photo: RemotePhoto, state: PhotoState, file: Path) -> None:
    """Download a photo into a file.

    Raises:
        UnreadableError: it is missing, may not be read, is too large, or arrives incomplete.
        DataError: the server does not serve.
        OSError: the disk is full.
    """

    def fetch() -> None:
        received = _Received(MAX_PHOTO_BYTES)
        _bounded(filesystem(photo.folder), "get_file", _address(photo), (str(file),), received)
        arrived = file.stat().st_size
        if state.size is not None and arrived != state.size:
            raise _CutShortError(f"{arrived:,} of {state.size:,} bytes")

    _tried(photo.url, photo.folder, fetch)


def listed(folder: RemoteFolder) -> list[str]:
    """The paths of all files below a folder, in any order.

    Raises:
        DataError: they may not be listed, or the server does not serve.
    """

    def find() -> list[str]:
        system = filesystem(folder)
        address = without_account(folder.url)
        top = f"{system._strip_protocol(address).rstrip('/')}/"
        found = _bounded(system, "find", address, (), _Received(0), silence=LISTING)
        return [str(path)[len(top) :] for path in found if str(path).startswith(top)]

    try:
        return _tried(folder.url, folder, find)
    except UnreadableError as error:
        raise DataError(f"{folder.url} {'; '.join(error.args)}") from None


def filesystem(folder: RemoteFolder) -> Any:
    """The file system of fsspec for a folder.

    Raises:
        DataError: a package is missing.
    """
    with _OPENING:  # threads share one
        return _filesystem(folder, os.getpid())


@cache
def _filesystem(folder: RemoteFolder, process: int) -> Any:
    package = PACKAGES[folder.protocol]
    for needed in ("fsspec", package):
        try:
            importlib.import_module(needed)
        except ImportError:
            what = f"pip install {needed}" if needed in ("gcsfs", "adlfs") else "pip install 'siamesekit[remote]'"
            raise DataError(f"{folder.url}: photos of {folder.protocol}:// need {needed}: {what}") from None
    import fsspec

    options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
    if folder.protocol in WEB:
        options |= {"encoded": True, "get_client": _client_of(folder)}
    if folder.account:
        options["account_name"] = folder.account
    if package == "s3fs":
        own = fsspec.config.conf.get(folder.protocol, {}).get("config_kwargs", {})
        once = {"retries": {"total_max_attempts": 1}, "connect_timeout": SILENCE, "read_timeout": SILENCE}
        options["config_kwargs"] = {**once, **own}
    system = fsspec.filesystem(folder.protocol, **options)
    if package == "s3fs":
        system.retries = 1  # attempts are counted here
    return system


def _client_of(folder: RemoteFolder) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Makes the client of a folder of the web, which is not led out of the folder."""

    async def client(**options: Any) -> Any:
        import aiohttp

        async def refuse(_session: Any, _context: Any, request: Any) -> None:
            target = request.response.headers.get("Location") or request.response.headers.get("URI", "")
            try:
                folder.photo(str(request.response.url.join(type(request.response.url)(target))))
            except ValueError:
                raise _RedirectError(without_query(target)) from None

        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(refuse)
        times = aiohttp.ClientTimeout(total=None, sock_connect=SILENCE, sock_read=SILENCE)
        return aiohttp.ClientSession(**{"trust_env": True, "timeout": times, **options, "trace_configs": [trace]})

    return client


def _address(photo: RemotePhoto) -> str:
    return f"{without_account(photo.url)}{photo.query}"


def _bounded(
    system: Any, what: str, address: str, rest: tuple[str, ...], received: _Received, silence: float | None = None
) -> Any:
    """Call a method of a file system, and give up if the server falls silent or is too slow.

    Raises:
        TimeoutError: it did.
    """
    path = address if address.startswith(("http://", "https://")) else system._strip_protocol(address)
    options: dict[str, Any] = {"callback": received} if rest else {}
    if not getattr(system, "async_impl", False):
        return getattr(system, what)(path, *rest, **options)
    import asyncio  # here, because it takes time to import

    working = asyncio.run_coroutine_threadsafe(getattr(system, f"_{what}")(path, *rest, **options), system.loop)
    begun = last = time.monotonic()
    seen, silence = 0, SILENCE if silence is None else silence
    try:
        while not working.done():
            wait([working], timeout=min(1.0, silence / 10))
            now = time.monotonic()
            if received.bytes > seen:
                seen, last = received.bytes, now
            if not working.done() and (now - last > silence or now - begun > silence + seen / SLOWEST):
                speed = f"; {seen:,} bytes arrived in {now - begun:.0f} seconds" if seen else ""
                raise TimeoutError(f"does not answer{speed}")
        return working.result()
    finally:
        if not working.done():
            working.cancel()
            wait([working], timeout=1.0)


def _tried(url: str, folder: RemoteFolder, work: Callable[[], Found]) -> Found:
    """Ask a photo's server for something, again after a pause if it fails in a way that may pass.

    Raises:
        UnreadableError: the photo is at fault.
        DataError: the server is.
        OSError: the disk is full.
    """
    for pause in (*PAUSES, None):
        try:
            return work()
        except (UnreadableError, DataError):
            raise
        except Exception as error:  # packages raise errors of any type
            if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
                raise
            failed = error
        final = _fault_of_photo(folder, failed)
        if final is not None:
            raise final from None
        if pause is not None:
            time.sleep(pause)
    if _is_cut(failed):
        raise UnreadableError(
            f"arrives incomplete in {len(PAUSES) + 1} attempts ({_told(failed)})", "upload it to the server again"
        ) from None
    raise DataError(
        f"{url}: {folder.server} {_told(failed)}, in {len(PAUSES) + 1} attempts; check the connection and "
        "the access to the server, and run the command again: downloaded photos are kept"
    ) from None


def _fault_of_photo(folder: RemoteFolder, error: Exception) -> UnreadableError | None:
    """The fault of one photo that an error tells; None for an error that may pass, or of the whole server."""
    chain = [each for each in (error, error.__cause__) if each is not None]
    redirect = next((each for each in chain if isinstance(each, _RedirectError)), None)
    if redirect is not None:
        return UnreadableError(
            f"leads to {redirect.args[0]}, out of {folder.url}, and nothing else is fetched",
            "name the root to which it leads",
        )
    statuses = [status for each in chain if isinstance(status := getattr(each, "status", None), int)]
    if (statuses and statuses[-1] in _REFUSED) or any(isinstance(each, PermissionError) for each in chain):
        return UnreadableError(f"may not be read from {folder.server}", "check your access to it")
    if statuses and statuses[-1] not in _GONE:
        return None
    hidden = folder.protocol in WEB and error.__cause__ is not None  # fsspec calls any failure "not found"
    if statuses or (isinstance(error, FileNotFoundError) and not hidden):
        return UnreadableError(f"does not exist on {folder.server}", "upload it there, or correct the table")
    return None


def _is_cut(error: Exception) -> bool:
    names = {each.__name__ for each in type(error).__mro__}
    return bool(names & {"_CutShortError", "ClientPayloadError", "IncompleteReadError", "ResponseStreamingError"})


def _told(error: Exception) -> str:
    """An error in words, in one line, without secrets."""
    error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    if isinstance(error, TimeoutError):
        return str(error) or "does not answer"
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return f"answers with error {status}"
    told = " ".join(without_secrets(str(error) or type(error).__name__).split())
    return told if _is_cut(error) else f"fails ({told[:200]})"
