"""Facts about photos by content, kept in the user's cache folder."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import suppress
from hashlib import blake2b
from threading import Lock

from siamesekit._version import __version__
from siamesekit.audit.facts import PhotoFacts
from siamesekit.data.photo_reading import PLAIN, Reading
from siamesekit.data.records import Box
from siamesekit.files.cache_folder import cache_folder

CACHE, CACHE_BYTES = "photo-facts.sqlite", 1 << 30
"""File in the user's cache folder, and its largest size: it then starts anew."""
FORM = 2
"""Number of the form and meaning of the facts; another number ignores facts that were kept before."""
NEWER = ("resampling", "crop_share")
"""Options of reading that came after facts had been kept."""
WRITTEN = 256
"""Facts that are written together."""


class FactsCache:
    """Facts by key; without a cache folder, or where it cannot be used, nothing is kept. Threads may share it."""

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._lock = Lock()
        self._unwritten: dict[bytes, bytes] = {}
        folder = cache_folder()
        if folder is None:
            return
        with suppress(OSError, sqlite3.Error):
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / CACHE
            if file.exists() and file.stat().st_size > CACHE_BYTES:
                file.unlink()
            connection = sqlite3.connect(file, timeout=5, check_same_thread=False)
            connection.execute("CREATE TABLE IF NOT EXISTS facts (photo BLOB PRIMARY KEY, facts BLOB) WITHOUT ROWID")
            self._connection = connection

    @staticmethod
    def key(digest: bytes, box: Box | None, size: int, reading: Reading = PLAIN) -> bytes:
        """What decides a photo's facts: its content, its box, the size for which it is decoded, and how."""
        text = f"{FORM} {__version__} {digest.hex()} {box} {size} {_spelled(reading)}"
        return blake2b(text.encode(), digest_size=16).digest()

    def read(self, key: bytes) -> PhotoFacts | None:
        """The facts that are kept; None if there are none, or the key is empty."""
        with self._lock:
            if self._connection is None or not key:
                return None
            with suppress(sqlite3.Error, struct.error, TypeError):
                row = self._connection.execute("SELECT facts FROM facts WHERE photo = ?", (key,)).fetchone()
                return None if row is None else PhotoFacts.unpacked(row[0])
        return None

    def keep(self, key: bytes, facts: PhotoFacts) -> None:
        """Keep facts."""
        with self._lock:
            self._unwritten[key] = facts.packed()
            if len(self._unwritten) >= WRITTEN:
                self._write()

    def close(self) -> None:
        """Write what is not yet written, and close the file."""
        with self._lock:
            self._write()
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _write(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error), self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", self._unwritten.items())
        self._unwritten = {}


def _spelled(reading: Reading) -> str:
    """The options as in keys of earlier versions, with newer ones only where they are set, so that facts stay valid."""
    text = repr(reading)
    for name in NEWER:
        usual = getattr(PLAIN, name)
        if getattr(reading, name) == usual:
            text = text.replace(f", {name}={usual!r}", "")
    return text
