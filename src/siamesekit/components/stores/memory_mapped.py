"""Store `memory-mapped`: one file of float32 rows, searched exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from siamesekit.components.distances.distance import Distance
from siamesekit.components.distances.nearest import PreparedGallery
from siamesekit.components.stores.embedding_matrix import EmbeddingMatrix
from siamesekit.components.stores.store import Embeddings, Found, Ids
from siamesekit.registry import STORES

WRITTEN = 1 << 16
"""Rows that are written at a time where none are known."""


@STORES.register("memory-mapped")
class MemoryMapped:
    """Exact search over the catalogue's own file of embeddings, which is mapped into memory.

    It needs no other package and no second copy, works for any distance, and suits some millions of photos: a search
    reads all rows. Its answers are those of a sort of all distances: products decide which rows are compared by the
    distance itself, with a proven error bound.

    Shapes: queries `[Q, D]` → ids and distances `[Q, k]`.

    Args:
        folder: folder of the file.
        collection: name of the file, without its ending.
        dimensions: length of an embedding.
        distance: the model's distance.
    """

    __module__ = "siamesekit"

    def __init__(self, *, folder: Path, collection: str, dimensions: int, distance: Distance) -> None:
        self.matrix = EmbeddingMatrix(folder / f"{collection}.f32", dimensions)
        self.distance = distance
        self._searched: tuple[Ids | None, Ids, PreparedGallery] | None = None

    def add(self, ids: Ids, embeddings: Embeddings) -> None:
        """Add rows: that of id i is row i − 1 of the file, and rows of no id are NaN."""
        self._searched = None
        known = self.matrix.whole_rows()
        inside = int(np.searchsorted(ids, known + 1))
        if inside:  # what was removed comes back
            self.matrix.overwrite(ids[:inside] - 1, embeddings[:inside])
        ids, embeddings = ids[inside:], embeddings[inside:]
        while len(ids):
            end = min(int(ids[-1]), known + WRITTEN)
            here = int(np.searchsorted(ids, end + 1))
            rows = np.full((end - known, self.matrix.dimensions), np.nan, np.float32)
            rows[ids[:here] - known - 1] = embeddings[:here]
            self.matrix.store(known, rows)
            known, ids, embeddings = end, ids[here:], embeddings[here:]

    def remove(self, ids: Ids) -> None:
        """Remove rows: they become NaN."""
        self._searched = None
        there = ids[self._there(ids)]
        if len(there):
            self.matrix.overwrite(there - 1, np.full((len(there), self.matrix.dimensions), np.nan, np.float32))

    def settle(self) -> None:
        """Nothing is prepared: a search reads all rows."""

    def ids(self) -> Ids:
        """The ids of all rows, int64 `[N]`, ascending."""
        every = np.arange(1, self.matrix.whole_rows() + 1, dtype=np.int64)
        return every[self._there(every)]

    def count(self) -> int:
        """Number of rows."""
        return len(self.ids())

    def search(self, queries: Embeddings, k: int, allowed: Ids | None = None) -> Found:
        """Search the k rows nearest to each query, exactly."""
        ids, gallery = self._gallery(allowed)
        found = gallery.nearest(torch.from_numpy(queries), k)
        result = Found(np.full((len(queries), k), -1, np.int64), np.full((len(queries), k), np.inf, np.float32))
        result.ids[:, : found.index.shape[1]] = ids[found.index.numpy()]
        result.distances[:, : found.index.shape[1]] = found.distance.numpy()
        return result

    def close(self) -> None:
        """Release the file."""
        self._searched = None

    def drop(self) -> None:
        """Remove the file."""
        self.close()
        self.matrix.file.unlink(missing_ok=True)

    def _gallery(self, allowed: Ids | None) -> tuple[Ids, PreparedGallery]:
        """The ids that are searched, with their rows; those of the search before are kept."""
        if self._searched is not None:
            before, ids, gallery = self._searched
            if before is allowed or (before is not None and allowed is not None and np.array_equal(before, allowed)):
                return ids, gallery
        self._searched = None
        ids = self.ids() if allowed is None else allowed[self._there(allowed)]
        rows = torch.from_numpy(self.matrix.read(int(ids[-1]) if len(ids) else 0))
        if len(ids) < len(rows):
            rows = rows[torch.from_numpy(ids - 1)]
        gallery = PreparedGallery(rows, self.distance)
        self._searched = allowed, ids, gallery
        return ids, gallery

    def _there(self, ids: Ids) -> NDArray[np.bool_]:
        """Which ids have a row, `[N]`."""
        known = self.matrix.whole_rows()
        there = (ids >= 1) & (ids <= known)
        if known:
            rows = self.matrix.read(known)
            for column in (0, -1):  # a row is NaN as a whole, and its ends are written first and last
                there[there] &= ~np.isnan(rows[ids[there] - 1, column])
        return there
