"""Add photos to a catalogue by a file of their embeddings, which were computed elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from siamesekit.artifact.embedding_reading import ROWS, EmbeddedRows, number_of_rows, read_embeddings
from siamesekit.components.stores.embedding_matrix import EmbeddingMatrix
from siamesekit.data.records import Record
from siamesekit.errors import DataError
from siamesekit.gallery import database, known_photos, who
from siamesekit.gallery.adding import Added
from siamesekit.gallery.enrolling import NewPhoto, refuse_contradictions
from siamesekit.gallery.names import checked_name
from siamesekit.gallery.storage import Storage
from siamesekit.progress import Progress
from siamesekit.wording import line_of_name

MOVED = 1 << 16
"""Photos that get their individuals at a time, all within one transaction."""
NOBODY = -1
"""In place of an individual: the photo is not among those that are added."""


@dataclass
class Placed:
    """The photos of a file, as far as it has been read: a few bytes for each.

    Attributes:
        names: the individuals' names, each with its place in `order`.
        order: the individuals' names.
        owner: place of the individual of each photo of the catalogue, by the photo's number, int32; `NOBODY` for those
            that are not added.
        enrolled: number of photos that the catalogue has already.
        copies: number of photos that occur twice in the file.
        unnamed: number of photos without an individual.
        contradictions: photos with two individuals, a line each.
    """

    names: dict[str, int] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    owner: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    enrolled: int = 0
    copies: int = 0
    unnamed: int = 0
    contradictions: list[str] = field(default_factory=list)

    def individual(self, name: str) -> int:
        """The place of an individual's name."""
        place = self.names.setdefault(name, len(self.order))
        if place == len(self.order):
            self.order.append(name)
        return place

    def place(self, photo: int, individual: int) -> int:
        """Note the individual of a photo, by its number; return the one that it has had before, or `NOBODY`."""
        if photo >= len(self.owner):
            more = np.full(max(photo + 1, 2 * len(self.owner)) - len(self.owner), NOBODY, np.int32)
            self.owner = np.concatenate([self.owner, more])
        before = int(self.owner[photo])
        if before == NOBODY:
            self.owner[photo] = individual
        return before


def add_embeddings(storage: Storage, file: Path, progress: Progress) -> Added:
    """Add the photos of a file of embeddings with their individuals; photos that are there already are left.

    Each photo is known by its path and its embedding. An interrupted call changes nothing, and can be repeated: the
    rows that it has stored are not read twice into the catalogue.

    Args:
        storage: the catalogue.
        file: the file, as `siamesekit embed` writes it with the catalogue's model.
        progress: progress display.

    Raises:
        DataError: the file cannot be used, or photos have two individuals.
        OutputError: another process changes the catalogue, or the disk refuses.
    """
    with storage.writing():
        matrix, placed = storage.matrix, Placed()
        batches = read_embeddings(file, matrix.dimensions)
        most = math.ceil(number_of_rows(file) / ROWS)
        for rows in progress.track(batches, most, "Storing embeddings", f"batches of {ROWS:,}"):
            _store(storage, matrix, rows, placed)
        refuse_contradictions(placed.contradictions)
        photos = np.flatnonzero(placed.owner != NOBODY)
        if not len(photos):
            storage.settle()
            return Added(0, 0, placed.enrolled, placed.copies, placed.unnamed, ())
        with storage.transaction():
            new = len(placed.names.keys() - who.individuals(storage.connection).keys())
            numbers = who.numbers_of(storage.connection, placed.names)
            individuals = np.array([numbers[name] for name in placed.order], np.int64)
            change = storage.change("add", f"{len(photos)} photos, {new} new individuals")
            for start in range(0, len(photos), MOVED):
                some = photos[start : start + MOVED]
                moves = zip(some.tolist(), individuals[placed.owner[some]].tolist(), strict=True)
                database.assign(storage.connection, change, list(moves))
    return Added(len(photos), new, placed.enrolled, placed.copies, placed.unnamed, ())


def _store(storage: Storage, matrix: EmbeddingMatrix, rows: EmbeddedRows, placed: Placed) -> None:
    """Store rows that the catalogue does not know, without an individual, and note whose they are."""
    named = [place for place, name in enumerate(rows.individuals) if name]
    placed.unnamed += len(rows.paths) - len(named)
    digests = {place: _digest(rows.paths[place], rows.embeddings[place]) for place in named}
    known = who.known_photos(storage.connection, digests.values())
    first = known_photos.count(storage.connection)
    new: list[tuple[int, NewPhoto]] = []
    kept: list[int] = []
    for place in named:
        name, digest = checked_name(rows.individuals[place]), digests[place]
        if digest not in known:
            number = first + len(new) + 1
            record = Record(rows.paths[place], name, Path(rows.paths[place]))
            new.append((number, NewPhoto(record, name, digest, "")))
            kept.append(place)
            known[digest] = number, None
        number, owner = known[digest]
        if owner is not None:
            placed.enrolled += owner == name
            if owner != name:
                placed.contradictions.append(f"{line_of_name(rows.paths[place])}: {name} here, is enrolled as {owner}")
            continue
        before = placed.place(number, placed.individual(name))
        if before != NOBODY:
            other = placed.order[before]
            placed.copies += other == name
            if other != name:
                placed.contradictions.append(f"{line_of_name(rows.paths[place])}: {name} here, occurs also as {other}")
    if new:
        batch = matrix.store(first, rows.embeddings[kept])
        with database.transaction(storage.connection):
            known_photos.note(storage.connection, [batch])
            known_photos.insert(storage.connection, new, [b""] * len(new))


def _digest(path: str, embedding: NDArray[np.float32]) -> str:
    """What a photo is known by that was enrolled by its embedding `[D]`, in place of its file's digest.

    Paths in order give digests in order, so that millions of them are added to the end of an index.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        raise DataError(f"{line_of_name(path)}: its path is not UTF-8, and a catalogue keeps text: rename it") from None
    return f"{known_photos.EMBEDDED}{path}:{sha256(embedding.astype('<f4').tobytes()).hexdigest()[:32]}"
