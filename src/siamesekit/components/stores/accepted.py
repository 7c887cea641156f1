"""Validation of a plugin's store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from siamesekit.components.stores.store import Embeddings, Found, Ids, Store
from siamesekit.errors import PluginError
from siamesekit.registry.component import Component
from siamesekit.registry.component_faults import called, given, naming, refuse_without

METHODS = ("add", "remove", "ids", "count", "search", "close", "drop")


def accepted(made: Any, component: Component, runtime: Mapping[str, Any]) -> PluginStore:
    """Wrap the result of a plugin's component as a store.

    Args:
        made: an object with the methods of `Store`.
        component: the component that built it.
        runtime: not used.

    Raises:
        PluginError: it lacks one of them.
    """
    refuse_without(made, component, METHODS, f"a store: an object with the methods {', '.join(METHODS)}")
    return PluginStore(made, component)


class PluginStore:
    """A plugin's store, with errors that name the plugin.

    Args:
        store: the store of the plugin.
        component: the component that built it.
    """

    def __init__(self, store: Store, component: Component) -> None:
        self.store = store
        self.component = component

    def __repr__(self) -> str:
        return repr(self.store)

    def add(self, ids: Ids, embeddings: Embeddings) -> None:
        """Add rows `[N, D]` whose ids `[N]` are not there yet.

        Raises:
            PluginError: the store fails.
        """
        with naming(self.component):
            self.store.add(ids, embeddings)

    def remove(self, ids: Ids) -> None:
        """Remove rows by their ids `[N]`.

        Raises:
            PluginError: the store fails.
        """
        with naming(self.component):
            self.store.remove(ids)

    def settle(self) -> None:
        """Prepare for searches, if the store does that.

        Raises:
            PluginError: the store fails.
        """
        settle = getattr(self.store, "settle", None)
        if settle is not None:
            with naming(self.component):
                settle()

    def ids(self) -> Ids:
        """The ids of all rows, int64 `[N]`, ascending.

        Raises:
            PluginError: the store fails, or gives something else.
        """
        with naming(self.component):
            found = self.store.ids()
        if not isinstance(found, np.ndarray) or found.dtype != np.int64 or found.ndim != 1:
            raise PluginError(f"ids of {called(self.component)} gives {given(found)}; expected ids int64 [N]")
        return np.sort(found)

    def count(self) -> int:
        """Number of rows.

        Raises:
            PluginError: the store fails.
        """
        with naming(self.component):
            return int(self.store.count())

    def search(self, queries: Embeddings, k: int, allowed: Ids | None = None) -> Found:
        """Search the k rows nearest to each query `[Q, D]`, among the allowed ids `[M]`.

        Raises:
            PluginError: the store fails, or gives something other than `Found`.
        """
        with naming(self.component):
            found = self.store.search(queries, k, allowed)
        shapes = {np.shape(found.ids), np.shape(found.distances)} if isinstance(found, Found) else set()
        if shapes != {(len(queries), k)}:
            raise PluginError(
                f"search of {called(self.component)} gives {given(found)}; expected Found with ids and distances [Q, k]"
            )
        return found

    def close(self) -> None:
        """Release files and connections.

        Raises:
            PluginError: the store fails.
        """
        with naming(self.component):
            self.store.close()

    def drop(self) -> None:
        """Remove the collection, and close.

        Raises:
            PluginError: the store fails.
        """
        with naming(self.component):
            self.store.drop()
