"""A store as a plugin: one file of NumPy arrays, searched by a full sort."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from siamesekit import STORES, Found


@STORES.register("full-sort")
class FullSort:
    """All rows in one file."""

    def __init__(self, *, folder: Path, collection: str, dimensions: int, distance: object) -> None:
        self.file = folder / f"{collection}.npz"
        self.distance = distance
        self._ids, self._rows = np.empty(0, np.int64), np.empty((0, dimensions), np.float32)
        if self.file.exists():
            with np.load(self.file) as saved:
                self._ids, self._rows = saved["ids"], saved["rows"]

    def add(self, ids, embeddings):
        order = np.argsort(np.concatenate([self._ids, ids]), kind="stable")
        self._rows = np.concatenate([self._rows, embeddings])[order]
        self._ids = np.concatenate([self._ids, ids])[order]
        self._save()

    def remove(self, ids):
        kept = ~np.isin(self._ids, ids)
        self._ids, self._rows = self._ids[kept], self._rows[kept]
        self._save()

    def ids(self):
        return self._ids

    def count(self):
        return len(self._ids)

    def search(self, queries, k, allowed=None):
        kept = np.ones(len(self._ids), bool) if allowed is None else np.isin(self._ids, allowed)
        ids, rows = self._ids[kept], torch.from_numpy(self._rows[kept])
        found = Found(np.full((len(queries), k), -1), np.full((len(queries), k), np.inf, np.float32))
        for row, query in enumerate(torch.from_numpy(queries)):
            far = self.distance(query[None], rows).numpy()
            order = np.argsort(far, kind="stable")[:k]
            found.ids[row, : len(order)], found.distances[row, : len(order)] = ids[order], far[order]
        return found

    def close(self):
        pass

    def drop(self):
        self.file.unlink(missing_ok=True)

    def _save(self):
        new = self.file.with_suffix(".new.npz")
        np.savez(new, ids=self._ids, rows=self._rows)
        new.replace(self.file)
