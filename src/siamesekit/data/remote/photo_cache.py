"""Photos of other machines, kept in the user's cache folder up to a limit; the least recently used ones go first."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Lock

from siamesekit.data.photo_limits import CONTENTS, UnreadableError, check_length
from siamesekit.data.remote.servers import PhotoState, download, state_of
from siamesekit.errors import DataError
from siamesekit.files.atomic import sweep, write_atomic
from siamesekit.files.cache_folder import cache_folder
from siamesekit.files.locks import held, release
from siamesekit.files.paths import is_plain
from siamesekit.files.remote_address import RemotePhoto
from siamesekit.files.untrusted import open_regular

FOLDER, LOCK = "remote-photos", "lock"
LIMIT, DEFAULT_GIB = "SIAMESEKIT_REMOTE_CACHE_GIB", 20.0
"""Variable of the environment with the limit, and the limit without it."""
_DIGITS = 62
"""Hexadecimal digits of a file's name; two more name its folder."""
_ROOM = 16
"""A full cache is emptied by this part of its limit, so that it is not looked through for every photo."""


@contextmanager
def remote_content(photo: RemotePhoto) -> Iterator[bytes]:
    """The content of a photo on another machine, from the cache if it has not changed there.

    Raises:
        UnreadableError: it cannot be read; the error has the reason and what to do.
        DataError: the server does not serve, or there is no cache folder.
        OutputError: the disk of the cache is full.
    """
    kept = _cache(_folder(), _limit())
    state = state_of(photo)
    if state.size is not None:
        check_length(state.size)
    file = kept.file(photo, state)
    with ExitStack() as holding:
        content = kept.read(file, state, holding) if state.version else None
        if content is None:
            arrived: list[bytes] = []

            def fill(temporary: Path) -> None:
                download(photo, state, temporary)
                arrived.append(_content(temporary, holding))

            with _disk_errors(kept.folder):
                file.parent.mkdir(exist_ok=True)
                write_atomic(file, fill)
                content = arrived[0]
                kept.added(len(content))
        yield content


class PhotoCache:
    """The photos that are kept in a folder.

    Several threads and processes may share it: files appear whole, and one that is removed while it is read stays
    readable. Each process looks through the folder before its own downloads could have filled the limit.

    Args:
        folder: the folder.
        limit: bytes that the photos may have together.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self._lock = Lock()
        self._used: int | None = None
        self._new = 0

    def file(self, photo: RemotePhoto, state: PhotoState) -> Path:
        """Where a version of a photo is kept."""
        name = sha256(f"{photo.url}\0{state.version}".encode("utf-8", "surrogatepass")).hexdigest()
        return self.folder / name[:-_DIGITS] / name[-_DIGITS:]

    def read(self, file: Path, state: PhotoState, holding: ExitStack) -> bytes | None:
        """The content of a kept photo, used last from now on; None if it is not kept, or not whole."""
        with ExitStack() as own:  # memory of what is not used is not held while it is downloaded
            try:
                content = _content(file, own)
            except (OSError, UnreadableError):
                return None
            if state.size is not None and len(content) != state.size:
                return None
            holding.push(own.pop_all())
        with suppress(OSError):
            os.utime(file)
        return content

    def added(self, size: int) -> None:
        """Count a photo that was kept; make room if the limit is reached."""
        with self._lock:
            self._new += size
            if self._used is None or self._used + self._new > self.limit or self._new > self.limit // _ROOM:
                self._make_room()

    def _make_room(self) -> None:
        lock = self.folder / LOCK
        handle = held(lock)
        if handle is None:  # another process is making room
            return
        try:
            photos = [photo for place in self._places() for photo in _photos_in(place)]
            used = sum(size for _, size, _ in photos)
            if used > self.limit:
                for _, size, photo in sorted(photos, key=lambda each: (each[0], each[2])):
                    with suppress(OSError):
                        photo.unlink()
                        used -= size
                    if used <= self.limit - self.limit // _ROOM:
                        break
            self._used, self._new = used, 0
        finally:
            release(lock, handle)

    def _places(self) -> list[Path]:
        """The folders of photos, without what killed processes have left there."""
        with os.scandir(self.folder) as entries:
            places = [
                Path(entry.path)
                for entry in entries
                if _is_hexadecimal(entry.name, 2) and entry.is_dir(follow_symlinks=False)
            ]
        for place in places:
            sweep(place)
        return places


def _photos_in(place: Path) -> Iterator[tuple[int, int, Path]]:
    """The kept photos in a folder: when each was used last, its bytes and its file. Other files are not touched."""
    with os.scandir(place) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if _is_hexadecimal(entry.name, _DIGITS) and is_plain(Path(entry.path)):
                    info = entry.stat(follow_symlinks=False)
                    yield info.st_mtime_ns, info.st_size, Path(entry.path)


def _is_hexadecimal(name: str, digits: int) -> bool:
    return len(name) == digits and set(name) <= set("0123456789abcdef")


def _content(file: Path, holding: ExitStack) -> bytes:
    """The content of a file; its memory is held until the stack ends."""
    with open_regular(file) as opened:
        size = os.fstat(opened.fileno()).st_size
        check_length(size)
        holding.enter_context(CONTENTS.take(size))
        return opened.read(size)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Tell errors of the cache's disk in words."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{folder}, where photos of other machines are kept, cannot be used: {error.strerror or error}; set "
            "XDG_CACHE_HOME to another folder"
        ) from None


@cache
def _cache(folder: Path, limit: int) -> PhotoCache:
    return PhotoCache(folder, limit)


def _folder() -> Path:
    """The folder of the cache, which only its user can read.

    Raises:
        DataError: there is none.
    """
    above = cache_folder()
    if above is None:
        raise DataError("photos of other machines are kept in a cache: set XDG_CACHE_HOME to a folder for it")
    folder = above / FOLDER
    try:
        above.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{folder}, where photos of other machines are kept, cannot be made: {error.strerror}; set XDG_CACHE_HOME "
            "to a writable folder"
        ) from None
    return folder


def _limit() -> int:
    """The limit in bytes.

    Raises:
        DataError: the variable of the environment is no number of at least 0.
    """
    given = os.environ.get(LIMIT, "")
    try:
        limit = 2**30 * (float(given) if given.strip() else DEFAULT_GIB)
    except ValueError:
        limit = -1.0
    if not 0 <= limit < math.inf:
        raise DataError(f"{LIMIT} must be a number of GiB, at least 0, not {given!r}")
    return int(limit)
