"""The facts of all photos of a data set: each is decoded once, in threads, or not at all if its facts are known."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Self

from siamesekit.audit.facts import PhotoFacts, digest_of, measure
from siamesekit.audit.facts_cache import FactsCache
from siamesekit.data.images import look_at_content, read_square
from siamesekit.data.loading import UnusablePhoto
from siamesekit.data.photo_colours import Decoded
from siamesekit.data.photo_files import UnreadableError, content_of
from siamesekit.data.photo_geometry import Edges
from siamesekit.data.photo_reading import PLAIN
from siamesekit.data.reading_threads import reading_threads
from siamesekit.data.records import Record
from siamesekit.files.remote_address import RemotePhoto
from siamesekit.progress import Progress

SIZE = 64
"""Side of the squares for which photos are decoded if no run asks for another size: large JPEGs at ⅛ of their size."""
AHEAD, BLOCK = 4, 8
"""Blocks of photos per thread that are begun ahead, and most photos of a block: a thread takes a whole block."""


class Gathering:
    """Collects facts while photos are decoded. It is the `look` of `load_usable`, and a context that keeps the facts.

    Args:
        size: side of the squares for which photos are decoded.

    Attributes:
        records: records of all photos of the data set, also of those that no run uses.
        skipped: messages on files that the reader skips.
        facts: facts by the names of the photos.
        unreadable: photos that cannot be read, by name.
        reading: how photos are decoded.
    """

    def __init__(self, size: int = SIZE) -> None:
        self.size = size
        self.records: tuple[Record, ...] = ()
        self.skipped: tuple[str, ...] = ()
        self.facts: dict[str, PhotoFacts] = {}
        self.unreadable: dict[str, UnusablePhoto] = {}
        self.reading = PLAIN
        self._cache = FactsCache()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cache.close()

    def __call__(self, record: Record, content: bytes, photo: Decoded, edges: Edges) -> None:
        """Take the facts of a decoded photo from the cache, or measure them."""
        digest = digest_of(content)
        key = self._key(digest, record)
        self.facts[record.name] = self._cache.read(key) or self._measured(record, content, photo, edges, (digest, key))

    def _key(self, digest: bytes, record: Record) -> bytes:
        return self._cache.key(digest, record.box, self.size, self.reading) if digest else b""

    def _measured(
        self, record: Record, content: bytes, photo: Decoded, edges: Edges, known: tuple[bytes, bytes]
    ) -> PhotoFacts:
        """Measure a photo whose digest and key are known, and keep its facts."""
        digest, key = known
        facts = measure(record, content, photo, edges, digest)
        if key:
            self._cache.keep(key, facts)
        return facts

    def begin(self, records: Sequence[Record], skipped: Sequence[str]) -> None:
        """Take the records of the data set, and messages on files that its reader skips."""
        self.records, self.skipped = tuple(records), tuple(skipped)

    def read(self, progress: Progress) -> None:
        """Gather the facts of the photos that have not been looked at."""
        left = [each for each in self.records if each.name not in self.facts and each.name not in self.unreadable]
        workers = reading_threads(self.records)
        block, read = max(1, min(BLOCK, len(left) // (AHEAD * workers))), 0
        upcoming = (left[start : start + block] for start in range(0, len(left), block))
        begun: deque[Future[int]] = deque()
        pool = ThreadPoolExecutor(workers)
        try:
            begun.extend(pool.submit(self._read_all, some) for some in islice(upcoming, AHEAD * workers))
            for _ in progress.track(left, len(left), "Looking at photos", "photos"):
                if not read:
                    read = begun.popleft().result()
                    begun.extend(pool.submit(self._read_all, some) for some in islice(upcoming, 1))
                read -= 1
        finally:
            pool.shutdown(cancel_futures=True)

    def _read_all(self, records: Sequence[Record]) -> int:
        """Read photos one by one; their number."""
        for record in records:
            self._read(record)
        return len(records)

    def _read(self, record: Record) -> None:
        try:
            if not isinstance(record.source, Path | RemotePhoto):
                read_square(record, self.size, "squash", self.reading, look=self)
                return
            with content_of(record.source, record.root) as content:
                digest = digest_of(content)
                key = self._key(digest, record)
                known = self._cache.read(key)
                if known is not None:
                    self.facts[record.name] = known
                    return

                def look(record: Record, content: bytes, photo: Decoded, edges: Edges) -> None:
                    self.facts[record.name] = self._measured(record, content, photo, edges, (digest, key))

                look_at_content(record, content, self.size, look, self.reading)
        except UnreadableError as error:
            self.unreadable[record.name] = UnusablePhoto(record.name, *error.args)
