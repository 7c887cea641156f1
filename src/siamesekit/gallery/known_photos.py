"""The photos of a catalogue: rows of the database and of the matrix, written and read together."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.components.stores.embedding_matrix import EmbeddingMatrix, RowBatch
from siamesekit.data.records import Record
from siamesekit.errors import UserError
from siamesekit.gallery.conditions import parse
from siamesekit.gallery.enrolling import NewPhoto, box_of
from siamesekit.gallery.search import Gallery, Names
from siamesekit.wording import near

EMBEDDED = "embedding:"
"""Beginning of what a photo is known by that was enrolled by its embedding, in place of its file's SHA-256."""
WITH_INDIVIDUAL = "FROM photos WHERE individual IS NOT NULL"
"""The photos that are searched."""
PAIR = np.dtype([("photo", np.int64), ("individual", np.int64)])
INDIVIDUAL, PHOTO = "individual", "photo"
"""Columns of a condition that every catalogue has."""


@dataclass(frozen=True)
class KnownPhoto:
    """A photo of a catalogue.

    Attributes:
        number: its number.
        record: its record, with its file as it was enrolled.
        sha256: digest that the file had, or the path and embedding by which it was enrolled.
        thumbnail: a small JPEG; empty if none could be made.
    """

    number: int
    record: Record
    sha256: str
    thumbnail: bytes


class PhotoNames(Sequence[tuple[str, str]]):
    """Names and paths of photos, read from the database when they are asked for: for millions they take gigabytes.

    Args:
        connection: the database.
        photos: numbers of the photos, `[N]`, ascending.
    """

    def __init__(self, connection: sqlite3.Connection, photos: NDArray[np.int64]) -> None:
        self._connection, self._photos = connection, photos

    def __len__(self) -> int:
        return len(self._photos)

    @overload
    def __getitem__(self, index: int) -> tuple[str, str]: ...

    @overload
    def __getitem__(self, index: slice) -> list[tuple[str, str]]: ...

    def __getitem__(self, index: int | slice) -> tuple[str, str] | list[tuple[str, str]]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        query = "SELECT name, path FROM photos WHERE id = ?"
        name, path = self._connection.execute(query, (int(self._photos[index]),)).fetchone()
        return name, path

    def __iter__(self) -> Iterator[tuple[str, str]]:
        wanted = iter(self._photos.tolist())
        following = next(wanted, None)
        for number, name, path in self._connection.execute("SELECT id, name, path FROM photos ORDER BY id"):
            if number == following:
                yield name, path
                following = next(wanted, None)


def count(connection: sqlite3.Connection) -> int:
    """Number of known photos, those without an individual included."""
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM photos").fetchone()[0])


def insert(connection: sqlite3.Connection, photos: Sequence[tuple[int, NewPhoto]], thumbnails: Sequence[bytes]) -> None:
    """Insert photos by their numbers, with attributes and thumbnails, without an individual."""
    connection.executemany(
        "INSERT INTO photos VALUES (?, NULL, ?, ?, ?, ?, ?)",
        (
            (number, photo.record.name, str(Path(str(photo.record.source)).absolute()), photo.box, photo.sha256, small)
            for (number, photo), small in zip(photos, thumbnails, strict=True)
        ),
    )
    connection.executemany(
        "INSERT INTO attributes VALUES (?, ?, ?)",
        ((name, number, value) for number, photo in photos for name, value in photo.record.attributes.items() if value),
    )


def facts(connection: sqlite3.Connection, number: int) -> KnownPhoto:
    """What is known of a photo, by its number.

    Raises:
        UserError: there is no such photo.
    """
    row = connection.execute(
        "SELECT p.name, p.path, p.box, p.sha256, p.thumbnail, i.name FROM photos p "
        "LEFT JOIN individuals i ON i.id = p.individual WHERE p.id = ?",
        (number,),
    ).fetchone()
    if row is None:
        raise UserError(f"the catalogue has no photo {number}")
    name, path, box, digest, thumbnail, individual = row
    attributes = dict(connection.execute("SELECT name, value FROM attributes WHERE photo = ?", (number,)))
    record = Record(name, individual or "", Path(path), box=box_of(box), attributes=attributes)
    return KnownPhoto(number, record, digest, bytes(thumbnail))


def batches(connection: sqlite3.Connection) -> list[RowBatch]:
    """The batches of rows of the matrix."""
    return [RowBatch(*row) for row in connection.execute("SELECT first, rows, checksum FROM batches ORDER BY first")]


def note(connection: sqlite3.Connection, stored: Sequence[RowBatch]) -> None:
    """Note batches of rows of the matrix."""
    connection.executemany(
        "INSERT INTO batches VALUES (?, ?, ?)", ((batch.first, batch.rows, batch.checksum) for batch in stored)
    )


def read(connection: sqlite3.Connection, matrix: EmbeddingMatrix) -> tuple[Gallery, Names]:
    """All photos with an individual, which may be none, after comparing the matrix with its checksums.

    Raises:
        ArtifactError: the matrix is damaged.
    """
    known, (there,) = count(connection), connection.execute(f"SELECT count(*) {WITH_INDIVIDUAL}").fetchone()
    matrix.verify(batches(connection))
    pairs = np.fromiter(connection.execute(f"SELECT id, individual {WITH_INDIVIDUAL} ORDER BY id"), PAIR, there)
    photos = pairs["photo"].copy()
    numbers, owner = np.unique(pairs["individual"], return_inverse=True)
    names = dict(connection.execute("SELECT id, name FROM individuals"))
    places = photos - 1 if there < known else None
    gallery = Gallery(torch.from_numpy(matrix.read(known)), photos, owner.astype(np.int64), None, places)
    return gallery, Names([names[number] for number in numbers.tolist()], PhotoNames(connection, photos))


def chosen(connection: sqlite3.Connection, gallery: Gallery, names: Names, where: str) -> tuple[Gallery, Names]:
    """The photos that meet a condition.

    Raises:
        UserError: the text is no condition, a column is unknown, or no photo meets it.
    """
    kept = np.flatnonzero(parse(where).mask(lambda column: values(connection, column, gallery, names)))
    if not len(kept):
        raise UserError(f"no photo of the catalogue meets the condition {where!r}")
    part, left = gallery.part(kept)
    return part, Names([names.individuals[n] for n in left.tolist()], PhotoNames(connection, part.photos))


def columns(connection: sqlite3.Connection) -> list[str]:
    """Names of the attributes."""
    return [row[0] for row in connection.execute("SELECT DISTINCT name FROM attributes ORDER BY name")]


def values(connection: sqlite3.Connection, column: str, gallery: Gallery, names: Names) -> list[str]:
    """A column's value for each photo of the gallery, empty where unknown.

    Raises:
        UserError: there is no such column.
    """
    if column == INDIVIDUAL:
        return [names.individuals[number] for number in gallery.individuals.tolist()]
    if column == PHOTO:
        return [name for name, _ in names.photos]
    known = [*columns(connection), INDIVIDUAL, PHOTO]
    if column not in known:
        raise UserError(f"the catalogue has no column {column!r}{near(column, known)}; columns: {', '.join(known)}")
    known_values = dict(connection.execute("SELECT photo, value FROM attributes WHERE name = ?", (column,)))
    return [known_values.get(photo, "") for photo in gallery.photos.tolist()]
