"""Move a catalogue to another store."""

from __future__ import annotations

from siamesekit.errors import UserError
from siamesekit.gallery import database, leftovers
from siamesekit.gallery.catalogue_store import new_collection, wanted
from siamesekit.gallery.leftovers import Leftover
from siamesekit.gallery.storage import Storage
from siamesekit.gallery.store_choice import StoreChoice, try_store


def move_store(storage: Storage, choice: StoreChoice) -> int:
    """Search a catalogue in another store from now on; return the number of photos in it.

    The new store is filled within the transaction that names it, and the former one is removed after it: a process that
    is killed leaves the catalogue with the one or the other, and a note of the collection that the next change removes.

    Raises:
        ComponentError: no store has this name, or an option is wrong.
        UserError: the catalogue is searched in it already, or it needs a package or another distance.
        OutputError: the store cannot be reached, or another process changes the catalogue.
    """
    choice.check()
    with storage.writing():
        searched, dimensions = storage.searched, int(storage.fact("dimensions"))
        former = Leftover(searched.choice, searched.collection, dimensions)
        if choice == former.store:
            raise UserError(f"the catalogue is searched in store {choice} already")
        try_store(choice, storage.model)
        named, count, noted = new_collection(), len(wanted(storage.connection)), leftovers.noted(storage.connection)
        new = Leftover(choice, f"{named}-{storage.matrix.file.stem}", dimensions)
        with database.transaction(storage.connection):
            leftovers.note(storage.connection, [*noted, new])
        try:
            with storage.transaction():  # it fills the store that the database names at its end
                database.set_facts(storage.connection, {"store": choice.text(), "collection": named})
                leftovers.note(storage.connection, [*noted, former])
                storage.change("move-store", f"{count} photos, from {former.store} to {choice}")
        finally:
            searched.remove_leftovers()  # the former store, or the new one if it has failed
    return count
