"""The store that a catalogue remembers: opened when it is needed, and kept in step with the database.

SQLite says which photos have an individual, and the catalogue's own file of embeddings has a row for each of them. A
store other than `memory-mapped` holds a copy of these rows. Rows are added before a change is committed, and removed
after it, so that a crash leaves at most rows too many; a search passes over these, and the next change removes them.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.nearest import PreparedGallery
from siamesekit.components.stores.store import Ids, Store
from siamesekit.errors import ArtifactError, OutputError, UserError
from siamesekit.gallery import database, leftovers
from siamesekit.gallery.leftovers import Leftover
from siamesekit.gallery.search import Find, Gallery
from siamesekit.gallery.store_choice import OWN, StoreChoice, remembered_store
from siamesekit.progress import Progress
from siamesekit.registry import STORES
from siamesekit.wording import line_of_name

if TYPE_CHECKING:
    from siamesekit.gallery.storage import Storage

FOLDER = "stores"
"""Folder of a catalogue for stores that keep files."""
NAME = re.compile(r"[\w-]{1,200}", re.ASCII)
"""Form of a collection's name, which is part of a path."""
ATTEMPTS = 4
"""Times that a store is looked at while another process changes the catalogue."""
COPIED = 1 << 26
"""Bytes of rows that are copied into a store at a time."""
TOLERANCE = 1e-3
"""Largest difference between a distance of a store and that by the catalogue's own row, for rounding."""


def new_collection() -> str:
    """A name for the collections of a catalogue that no other has."""
    return f"siamesekit-{secrets.token_hex(8)}"


def wanted(connection: sqlite3.Connection) -> Ids:
    """Numbers of the photos that have an individual, int64 `[N]`, ascending."""
    (count,) = connection.execute("SELECT count(*) FROM photos WHERE individual IS NOT NULL").fetchone()
    rows = connection.execute("SELECT id FROM photos WHERE individual IS NOT NULL ORDER BY id")
    return np.fromiter((number for (number,) in rows), np.int64, count)


def absent(ids: Ids, there: Ids) -> Ids:
    """The ids `[N]` that are not there `[M]`; both ascending."""
    return ids[:0] if np.array_equal(ids, there) else np.setdiff1d(ids, there, assume_unique=True)


class CatalogueStore:
    """The store of a catalogue.

    Args:
        storage: the catalogue's folder.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._opened: tuple[str, Store] | None = None
        self._seen: tuple[int, str] | None = None
        """Last change, and collection, for which the store was found to lack nothing."""

    @property
    def choice(self) -> StoreChoice:
        """The store that the catalogue remembers."""
        text = self._storage.fact_or("store", "")
        return remembered_store(text) if text else StoreChoice()

    @property
    def collection(self) -> str:
        """Name of the store's collection: another one for each matrix of embeddings.

        Raises:
            ArtifactError: it could lead out of the catalogue's folder.
        """
        name = f"{self._storage.fact_or('collection', 'siamesekit')}-{self._storage.matrix.file.stem}"
        if not NAME.fullmatch(name):
            raise ArtifactError("the catalogue is altered: its collection has no such name; restore a copy of it")
        return name

    def opened(self) -> Store:
        """The store, opened.

        Raises:
            UserError: it needs a package, or the model's distance is none that it knows.
            OutputError: it cannot be reached.
            ArtifactError: it has another form.
        """
        collection = self.collection
        if self._opened is None or self._opened[0] != collection:
            self.close()
            choice = self.choice
            folder = self._folder(collection)
            if choice.name != OWN:
                folder.mkdir(parents=True, exist_ok=True)
            runtime = {"folder": folder, "collection": collection, "distance": self._storage.model.distance}
            dimensions = int(self._storage.fact("dimensions"))
            made = STORES.build_for_run(choice.name, choice.options, dimensions=dimensions, **runtime)
            self._opened = collection, made
        return self._opened[1]

    def close(self) -> None:
        """Close the store, if it is open."""
        if self._opened is not None:
            opened, self._opened = self._opened[1], None
            opened.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep the store in step with a change: around its transaction, which is committed at the end of the block."""
        yield
        if self.choice.name != OWN:  # the change may have named another store
            self._remove_surplus()
            self._settle()

    def add_missing(self) -> int:
        """Add the rows that the store lacks, within a transaction; return their number."""
        if self.choice.name == OWN:
            return 0
        store, missing = self.opened(), absent(wanted(self._storage.connection), self.opened().ids())
        if len(missing):
            matrix = self._storage.matrix
            at_once = max(1, COPIED // matrix.row_bytes)
            for start in range(0, len(missing), at_once):
                part = missing[start : start + at_once]
                rows = matrix.read(int(part[-1]))  # mapped anew, so that the pages of former rows can go
                store.add(part, np.ascontiguousarray(rows[part - 1]))
        return len(missing)

    def complete(self, progress: Progress) -> None:
        """See to it that the store lacks no photo, before a search; rows that it has lost are put back, with a warning.

        Raises:
            OutputError: another process is changing the catalogue.
        """
        if self.choice.name == OWN:
            return
        for _ in range(ATTEMPTS):
            state = self._storage.last_change(), self.collection
            if state == self._seen:
                return
            lacking = absent(wanted(self._storage.connection), self.opened().ids())
            if len(lacking) and state == (self._storage.last_change(), self.collection):
                with self._storage.writing(), self._storage.transaction():
                    pass  # it adds what is missing
                progress.warn(
                    f"store {self.choice.name!r} lacked {len(lacking)} photos of the catalogue; they were put back"
                )
            elif not len(lacking):
                self._seen = state
                return
        raise OutputError(
            f"store {self.choice.name!r} lacks photos of the catalogue {line_of_name(str(self._storage.path))}, and "
            "does not keep those that are put back; try again when no other process changes the catalogue"
        )

    def drop(self, leftover: Leftover) -> bool:
        """Remove a collection that the catalogue does not name any more; return whether its store could be reached."""
        folder, choice, gone = self._folder(leftover.collection), leftover.store, False
        if choice.name == OWN:
            return True
        self.close()
        runtime = {"folder": folder, "collection": leftover.collection, "distance": self._storage.model.distance}
        with suppress(UserError):
            STORES.build_for_run(choice.name, choice.options, dimensions=leftover.dimensions, **runtime).drop()
            gone = True
        with suppress(OSError):  # it is empty, unless the store could not be reached
            folder.rmdir()
        return gone

    def remove_leftovers(self) -> None:
        """Remove the collections that are noted as left over; what cannot be reached now goes with a later change.

        The process must be the only one that changes the catalogue.
        """
        noted = leftovers.noted(self._storage.connection)
        if not noted:
            return
        current = self.choice, self.collection
        left = [each for each in noted if (each.store, each.collection) != current and not self.drop(each)]
        if left != noted:
            with database.transaction(self._storage.connection):
                leftovers.note(self._storage.connection, left)

    def find(self, gallery: Gallery, whole: bool) -> Find:
        """How a gallery is searched.

        Args:
            gallery: the photos that are searched.
            whole: whether they are all photos of the catalogue that have an individual.
        """
        prepared: list[PreparedGallery] = []

        def find(queries: Tensor, k: int) -> tuple[Ids, Tensor]:
            distance = self._storage.model.distance
            if self.choice.name == OWN:
                if not prepared:
                    prepared.append(PreparedGallery(gallery.embeddings, distance))
                found = prepared[0].nearest(queries, k)
                return found.index.numpy(), found.distance
            return self._found(gallery, queries, k, None if whole else gallery.photos)

        return find

    def _found(self, gallery: Gallery, queries: Tensor, k: int, allowed: Ids | None) -> tuple[Ids, Tensor]:
        """What the store finds, as indices in the gallery `[Q, k]`, with distances by the catalogue's own rows."""
        found = self.opened().search(queries.numpy(), k, allowed)
        index = np.searchsorted(gallery.photos, found.ids).clip(max=len(gallery) - 1)
        known = gallery.photos[index] == found.ids
        if allowed is None and bool((~known & (found.ids >= 0)).any()):  # rows too many, of a change that was cut off
            return self._found(gallery, queries, k, gallery.photos)
        far = _distances(self._storage.model.distance, queries, gallery, index)
        told = torch.from_numpy(found.distances)
        off = torch.from_numpy(known) & ((far - told).abs() > TOLERANCE * far.abs().clamp_min(1))
        if bool(off.any()):
            row, column = (int(place) for place in off.nonzero()[0])
            raise ArtifactError(
                f"store {self.choice.name!r} has another embedding for photo {found.ids[row, column]} than the "
                f"catalogue {line_of_name(str(self._storage.path))}; another catalogue may use the same collection. To "
                "make it anew: siamesekit re-embed"
            )
        order = np.lexsort((index, far.numpy()), axis=1)
        index, distances = np.take_along_axis(index, order, 1), far.gather(1, torch.from_numpy(order))
        short = np.flatnonzero(~known.all(1))
        if len(short):  # an index that is not exact may find too few
            exact = PreparedGallery(gallery.embeddings, self._storage.model.distance)
            again = exact.nearest(queries[torch.from_numpy(short)], k)
            index[short], distances[torch.from_numpy(short)] = again.index.numpy(), again.distance
        return index, distances

    def _remove_surplus(self) -> None:
        """Remove the rows of photos without an individual; what cannot be removed now goes with the next change."""
        store = self.opened()
        with suppress(UserError):
            surplus = absent(store.ids(), wanted(self._storage.connection))
            if len(surplus):
                store.remove(surplus)

    def _settle(self) -> None:
        """Let the store prepare for searches, now that the change is committed.

        Raises:
            OutputError: it cannot; the change is made, and the next one tries again.
        """
        try:
            self.opened().settle()
        except OutputError as error:
            raise OutputError(
                f"the change is made, but the store has no index of it: {error.message}; the next change tries again, "
                "and until then searches compare all photos"
            ) from error

    def _folder(self, collection: str) -> Path:
        """Folder for a collection's files."""
        return self._storage.path / FOLDER / collection


def _distances(distance: Distance, queries: Tensor, gallery: Gallery, index: Ids) -> Tensor:
    """Distance of each query `[Q, D]` to rows of the gallery by their indices `[Q, k]`: `[Q, k]`."""
    with torch.no_grad():
        rows = [distance(query[None], gallery.rows(chosen)) for query, chosen in zip(queries, index, strict=True)]
    return torch.stack(rows)
