"""Points that photos share, by a matcher; points that are known are not computed again."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from siamesekit._version import __version__
from siamesekit.components.matchers.matcher import Keypoints, Matcher
from siamesekit.data.images import pixels_of_content, read_pixels
from siamesekit.data.photo_colours import Pixels
from siamesekit.data.photo_files import UnreadableError, content_of
from siamesekit.data.photo_reading import FOR_PICTURES
from siamesekit.data.records import Record
from siamesekit.errors import DataError, UserError
from siamesekit.files.cache_folder import cache_folder
from siamesekit.gallery.enrolling import fingerprints, in_threads
from siamesekit.gallery.sighting import Sighting
from siamesekit.progress import Progress

DESCRIBED = 512
"""Photos whose keypoints are kept: about 0.5 MB each."""
CACHE, CACHE_BYTES = "shared-points.sqlite", 1 << 28
"""File in the user's cache folder that keeps shared points, and its largest size: it then starts anew."""
BATCH = 512
"""Pairs that are matched before their points are kept."""
UNREADABLE = -1
"""Number of shared points with a photo that cannot be read."""


Pair = tuple[Sighting, Sighting]
Points = NDArray[np.float32]
"""Points that two photos share, `[M, 4]`: x and y on the first photo, then on the second, from the upper left corner of
the upright photo (or of its box) as shares of its width and height."""


class SharedPoints:
    """Finds the points that pairs of photos share.

    Args:
        matcher: the matcher; its text form names all its options.

    Attributes:
        name: what decides the points, beside the photos.
    """

    def __init__(self, matcher: Matcher) -> None:
        self.matcher = matcher
        self.name = f"{__version__} {matcher!r}"
        self._described: OrderedDict[Hashable, Keypoints | None] = OrderedDict()
        self._lock = Lock()

    def counts(self, pairs: Sequence[Pair], progress: Progress | None = None) -> NDArray[np.int64]:
        """Number of points that each of P pairs shares, int64 `[P]`; `UNREADABLE` if a photo cannot be read."""
        found = self.points(pairs, progress)
        return np.array([UNREADABLE if each is None else len(each) for each in found], np.int64)

    def points(self, pairs: Sequence[Pair], progress: Progress | None = None) -> list[Points | None]:
        """The points that each of P pairs shares; None if a photo cannot be read.

        Raises:
            UserError: the matcher gives points that are NaN or infinite, or a photo without a size.
        """
        progress = progress or Progress()
        with closing(_Cache()) as cache:
            keys = [self._key(pair) for pair in pairs]
            known = cache.read([key for key in keys if key])
            found = [known.get(key) for key in keys]
            left = [number for number, key in enumerate(keys) if key not in known]
            batches = [left[start : start + BATCH] for start in range(0, len(left), BATCH)]
            for batch in progress.track(batches, len(batches), "Second look", f"times {BATCH} pairs of photos"):
                matched = in_threads(lambda number: self._match(pairs[number]), batch)
                for number, points in zip(batch, matched, strict=True):
                    found[number] = points
                cache.keep([(keys[number], found[number]) for number in batch])
        return found

    def _match(self, pair: Pair) -> Points | None:
        first, second = (self._keypoints(each) for each in pair)
        if first is None or second is None:
            return None
        found = self.matcher.match(first, second)
        both = [_shares(points, each.size) for points, each in ((found.first, first), (found.second, second))]
        points = np.concatenate(both, axis=1)
        if not np.isfinite(points).all():
            raise UserError(f"matcher {self.matcher!r} gives points that are not finite, or a photo without a size")
        return points

    def _keypoints(self, photo: Sighting) -> Keypoints | None:
        """The keypoints of a photo; None if it cannot be read, or is not what it was."""
        name: Hashable = photo.identity if photo.sha256 else photo.record.source  # a function is itself alone
        with self._lock:
            if name in self._described:
                self._described.move_to_end(name)
                return self._described[name]
        found = None
        with suppress(UnreadableError, DataError):
            found = self.matcher.describe(_pixels(photo))
        with self._lock:
            self._described[name] = found
            if len(self._described) > DESCRIBED:
                self._described.popitem(last=False)
        return found

    def _key(self, pair: Pair) -> bytes:
        """Key of a pair in the cache; empty if a photo is no file."""
        if not all(photo.sha256 for photo in pair):
            return b""
        first, second = (" ".join(photo.identity) for photo in pair)
        return sha256(f"{self.name}\n{first}\n{second}".encode()).digest()[:16]


def sightings(records: Sequence[Record]) -> list[Sighting]:
    """Records of files, with the files' digests; without one where a file cannot be read."""
    pairs = zip(records, fingerprints(records, Progress()), strict=True)
    return [Sighting(record, digest if isinstance(digest, str) else "") for record, digest in pairs]


def _shares(points: NDArray[np.float32], size: tuple[int, int]) -> Points:
    """Points `[M, 2]`, whose whole numbers are the middles of pixels, as shares of a photo's width and height."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: Points = ((points + 0.5) / np.array(size)).astype(np.float32)
    return shares


def _pixels(photo: Sighting) -> Pixels:
    """The pixels of a photo.

    Raises:
        UnreadableError: it cannot be read, or its file is not what it was.
    """
    source = photo.record.source
    if not photo.sha256 or not isinstance(source, Path):
        return read_pixels(photo.record, FOR_PICTURES)
    with content_of(source, photo.record.root) as content:
        if sha256(content).hexdigest() != photo.sha256:
            raise UnreadableError("has changed", "enrol it again")
        return pixels_of_content(content, source.suffix, photo.record.box, FOR_PICTURES)


class _Cache:
    """Points by key in the user's cache folder; without one, or where it cannot be used, nothing is kept."""

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        folder = cache_folder()
        if folder is None:
            return
        with suppress(OSError, sqlite3.Error):
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / CACHE
            if file.exists() and file.stat().st_size > CACHE_BYTES:
                file.unlink()
            connection = sqlite3.connect(file, timeout=5)
            connection.execute("DROP TABLE IF EXISTS counts")  # an earlier version kept numbers only
            connection.execute("CREATE TABLE IF NOT EXISTS matches (pair BLOB PRIMARY KEY, points BLOB) WITHOUT ROWID")
            self._connection = connection

    def read(self, keys: Sequence[bytes]) -> dict[bytes, Points]:
        """The points that are known."""
        known: dict[bytes, Points] = {}
        if self._connection is not None:
            with suppress(sqlite3.Error):
                for key in keys:
                    row = self._connection.execute("SELECT points FROM matches WHERE pair = ?", (key,)).fetchone()
                    if row is not None and (points := _read(row[0])) is not None:
                        known[key] = points
        return known

    def keep(self, found: Sequence[tuple[bytes, Points | None]]) -> None:
        """Keep points; those of photos that cannot be read, or are no files, are not kept."""
        if self._connection is not None:
            with suppress(sqlite3.Error), self._connection:
                kept = [(key, points.astype("<f4").tobytes()) for key, points in found if key and points is not None]
                self._connection.executemany("INSERT OR REPLACE INTO matches VALUES (?, ?)", kept)

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()


def _read(kept: object) -> Points | None:
    """Points as they are kept; None if they are damaged."""
    if not isinstance(kept, bytes) or len(kept) % 16:
        return None
    points = np.frombuffer(kept, "<f4").reshape(-1, 4).astype(np.float32)
    return points if np.isfinite(points).all() else None
