"""The facts of all photos of a data set: each is decoded once, in threads, or not at all if its facts are known."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from threading import local
from typing import Self

from PIL import Image

from siamesekit.audit.facts import PhotoFacts, digest_of, measure
from siamesekit.audit.facts_cache import FactsCache
from siamesekit.data.images import look_at_content, read_square
from siamesekit.data.loading import UnusablePhoto
from siamesekit.data.photo_files import UnreadableError, content_of
from siamesekit.data.photo_geometry import Edges
from siamesekit.data.photo_reading import PLAIN
from siamesekit.data.records import Record
from siamesekit.progress import Progress

SIZE = 64
"""Side of the squares for which photos are decoded if no run asks for another size: large JPEGs at ⅛ of their size."""
AHEAD = 4
"""Photos per thread that are begun ahead."""


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
        self._last = local()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cache.close()

    def __call__(self, record: Record, content: bytes, photo: Image.Image, edges: Edges) -> None:
        """Take the facts of a decoded photo from the cache, or measure them."""
        digest = self._digest(content)
        key = self._cache.key(digest, record.box, self.size, self.reading) if digest else b""
        facts = self._cache.read(key) if key else None
        if facts is None:
            facts = measure(record, content, photo, edges, digest)
            if key:
                self._cache.keep(key, facts)
        self.facts[record.name] = facts
        self._last.content = None

    def begin(self, records: Sequence[Record], skipped: Sequence[str]) -> None:
        """Take the records of the data set, and messages on files that its reader skips."""
        self.records, self.skipped = tuple(records), tuple(skipped)

    def read(self, progress: Progress) -> None:
        """Gather the facts of the photos that have not been looked at."""
        left = [each for each in self.records if each.name not in self.facts and each.name not in self.unreadable]
        workers = os.cpu_count() or 1
        upcoming = iter(left)
        begun: deque[Future[None]] = deque()
        pool = ThreadPoolExecutor(workers)
        try:
            begun.extend(pool.submit(self._read, record) for record in islice(upcoming, AHEAD * workers))
            for _ in progress.track(left, len(left), "Looking at photos", "photos"):
                begun.popleft().result()
                begun.extend(pool.submit(self._read, record) for record in islice(upcoming, 1))
        finally:
            pool.shutdown(cancel_futures=True)

    def _read(self, record: Record) -> None:
        try:
            if not isinstance(record.source, Path):
                read_square(record, self.size, "squash", self.reading, look=self)
                return
            with content_of(record.source, record.root) as content:
                known = self._cache.read(self._cache.key(self._digest(content), record.box, self.size, self.reading))
                if known is not None:
                    self.facts[record.name] = known
                else:
                    look_at_content(record, content, self.size, self, self.reading)
        except UnreadableError as error:
            self.unreadable[record.name] = UnusablePhoto(record.name, *error.args)
        finally:
            self._last.content = None

    def _digest(self, content: bytes) -> bytes:
        """The digest of a content, computed once as long as this thread asks for the same one."""
        last: tuple[bytes, bytes] | None = getattr(self._last, "content", None)
        if last is None or last[0] is not content:
            last = self._last.content = content, digest_of(content)
        return last[1]
