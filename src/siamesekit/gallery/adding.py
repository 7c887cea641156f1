"""Add photos with their individuals to a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from siamesekit.data.loading import UnusablePhoto, report
from siamesekit.data.records import Record
from siamesekit.errors import DataError
from siamesekit.gallery import database, who
from siamesekit.gallery.enrolling import refuse_contradictions, sort
from siamesekit.gallery.storage import Storage
from siamesekit.progress import Progress


@dataclass(frozen=True)
class Added:
    """What `Catalogue.add` did.

    Attributes:
        photos: number of photos that were added.
        individuals: number of individuals that are new.
        enrolled: number of photos that were in the catalogue already.
        copies: number of photos that occurred twice in the input.
        unnamed: number of photos without an individual, which were left out.
        unusable: photos that cannot be read, which were left out.
    """

    photos: int
    individuals: int
    enrolled: int
    copies: int
    unnamed: int
    unusable: tuple[UnusablePhoto, ...]


def add(storage: Storage, records: Sequence[Record], progress: Progress, skip_bad: bool) -> Added:
    """Add photos with their individuals; photos that are there already are counted and left.

    Args:
        storage: the catalogue.
        records: records of the photos.
        progress: progress display.
        skip_bad: whether to leave out photos that cannot be read.

    Raises:
        DataError: photos cannot be read, have two individuals, or are not files.
        OutputError: another process changes the catalogue, or the disk refuses.
    """
    with storage.writing():
        found = sort(records, lambda identity: who.known_photo(storage.connection, identity), progress)
        refuse_contradictions(found.contradictions)
        stored = storage.store(found.new, progress, found.unusable)
        if found.unusable and not skip_bad:
            message, details = report(found.unusable, len(records))
            raise DataError(f"{message}; nothing was added: fix them, or add the rest with --skip-bad", details)
        placed = [*found.known, *stored]
        if not placed:
            storage.settle()
            return Added(0, 0, found.enrolled, found.copies, found.unnamed, tuple(found.unusable))
        with storage.transaction():
            before = who.individuals(storage.connection)
            numbers = who.numbers_of(storage.connection, {photo.individual for _, photo in placed})
            new = len({photo.individual for _, photo in placed} - set(before))
            change = storage.change("add", f"{len(placed)} photos, {new} new individuals")
            moves = [(number, numbers[photo.individual]) for number, photo in placed]
            database.assign(storage.connection, change, moves)
    return Added(len(placed), new, found.enrolled, found.copies, found.unnamed, tuple(found.unusable))
