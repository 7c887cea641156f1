"""The protocol `Store` of store components, with what they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Embeddings = NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """The rows nearest to each query.

    Attributes:
        ids: int64 `[Q, k]`, the nearest first; equal distances are ordered by id. −1 where no more rows were found.
        distances: distance to each by the model's distance, float32 `[Q, k]`; ∞ where no more rows were found.
    """

    __module__ = "siamesekit"

    ids: Ids
    distances: NDArray[np.float32]


class Store(Protocol):
    """Searches embeddings, each known by an id: the number of its photo, from 1 on.

    The catalogue keeps all embeddings in a file of its own, and SQLite says which are in use. So a store can be built
    again at any time: rows that it lacks are added, and rows too many are removed.

    What is added is there when `add` returns, for this process and for those that open the store later. A process that
    is killed within `add` leaves some of the rows, each of them whole.
    """

    def add(self, ids: Ids, embeddings: Embeddings) -> None:
        """Add rows whose ids are not there yet.

        Args:
            ids: int64 `[N]`, ascending.
            embeddings: float32 `[N, D]`, all finite.
        """
        ...

    def remove(self, ids: Ids) -> None:
        """Remove rows by their ids `[N]`; ids that are not there are passed over."""
        ...

    def settle(self) -> None:
        """Prepare for searches after a change, such as an index of the rows; a store without this method has none.

        It is called after the change is committed. A process that is killed within it loses no row: rows without an
        index are found all the same.
        """
        ...

    def ids(self) -> Ids:
        """The ids of all rows, int64 `[N]`, ascending."""
        ...

    def count(self) -> int:
        """Number of rows."""
        ...

    def search(self, queries: Embeddings, k: int, allowed: Ids | None = None) -> Found:
        """Search the k rows nearest to each query.

        Args:
            queries: float32 `[Q, D]`.
            k: number of rows, at least 1; it may exceed the number of rows.
            allowed: search only these ids, ascending, `[M]`; None: all rows.
        """
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...

    def drop(self) -> None:
        """Remove the collection with all its rows, and close."""
        ...


Store.__module__ = "siamesekit"
