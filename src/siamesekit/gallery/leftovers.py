"""Collections that a move to another store may leave behind: noted in the database before it, removed after it.

So a process that is killed in between leaves a note, and the next change removes what is noted, wherever it is.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from siamesekit.errors import ArtifactError
from siamesekit.gallery import database
from siamesekit.gallery.store_choice import StoreChoice, remembered_store

FACT = "leftovers"
COLLECTION = re.compile(r"siamesekit(-[0-9a-f]{16})?-[0-9]+-[0-9a-f]{1,16}", re.ASCII)
"""Form of the names that catalogues give to collections: nothing else is ever removed."""


@dataclass(frozen=True)
class Leftover:
    """A collection that no catalogue needs.

    Attributes:
        store: its store.
        collection: its name.
        dimensions: length of its embeddings.
    """

    store: StoreChoice
    collection: str
    dimensions: int


def note(connection: sqlite3.Connection, leftovers: Sequence[Leftover]) -> None:
    """Note collections in place of those that are noted, within a transaction."""
    told = [[each.store.text(), each.collection, each.dimensions] for each in leftovers]
    database.set_facts(connection, {FACT: json.dumps(told)})


def noted(connection: sqlite3.Connection) -> list[Leftover]:
    """The collections that are noted.

    Raises:
        ArtifactError: the note is altered.
    """
    try:
        told = [
            (str(store), str(name), int(size))
            for store, name, size in json.loads(database.fact(connection, FACT, "[]"))
        ]
    except (ValueError, TypeError):
        told = [("", "", 0)]
    if not all(COLLECTION.fullmatch(name) for _, name, _ in told):
        raise ArtifactError("the catalogue is altered: it names collections that are none of its; restore a copy of it")
    return [Leftover(remembered_store(store), name, size) for store, name, size in told]
