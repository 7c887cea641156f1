"""Move a catalogue to another store."""

from __future__ import annotations

from siamesekit.errors import UserError
from siamesekit.gallery import database
from siamesekit.gallery.catalogue_store import new_collection, wanted
from siamesekit.gallery.storage import Storage
from siamesekit.gallery.store_choice import StoreChoice, try_store


def move_store(storage: Storage, choice: StoreChoice) -> int:
    """Search a catalogue in another store from now on; return the number of photos in it.

    The new store is filled within the transaction that names it, and the former one is removed after it: a process that
    is killed leaves the catalogue with the one or the other, and at most a collection that nothing refers to.

    Raises:
        ComponentError: no store has this name, or an option is wrong.
        UserError: the catalogue is searched in it already, or it needs a package or another distance.
        OutputError: the store cannot be reached, or another process changes the catalogue.
    """
    choice.check()
    with storage.writing():
        searched, dimensions = storage.searched, int(storage.fact("dimensions"))
        former, collection = searched.choice, searched.collection
        if choice == former:
            raise UserError(f"the catalogue is searched in store {former} already")
        try_store(choice, storage.model)
        named = new_collection()
        count = len(wanted(storage.connection))
        try:
            with storage.transaction():  # it fills the store that the database names at its end
                database.set_facts(storage.connection, {"store": choice.text(), "collection": named})
                storage.change("move-store", f"{count} photos, from {former} to {choice}")
        except BaseException:
            searched.drop(choice, f"{named}-{storage.matrix.file.stem}", dimensions)
            raise
        searched.drop(former, collection, dimensions)
    return count
