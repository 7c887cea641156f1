"""Corrections of a catalogue: remove, rename, merge and split; each is written whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence

from siamesekit.errors import UserError
from siamesekit.gallery import database, who
from siamesekit.gallery.names import checked_name
from siamesekit.gallery.storage import Storage


def remove(storage: Storage, names: Sequence[str]) -> int:
    """Remove individuals with all their photos, or photos, by name; return the number of photos.

    Raises:
        UserError: a name is none of the catalogue, or several photos have it.
    """
    with storage.changing():
        individuals = who.individuals(storage.connection)
        photos: list[int] = []
        for name in names:
            if name in individuals:
                photos += who.photos_of(storage.connection, individuals[name])
            else:
                photos.append(who.photo_of(storage.connection, name, individuals))
        photos = list(dict.fromkeys(photos))
        change = storage.change("remove", f"{', '.join(names)}: {len(photos)} photos")
        database.assign(storage.connection, change, [(photo, None) for photo in photos])
    return len(photos)


def rename(storage: Storage, old: str, new: str) -> None:
    """Rename an individual.

    Raises:
        UserError: there is no such individual, or another has the new name.
        DataError: the new name is none.
    """
    new = checked_name(new)
    with storage.changing():
        individuals = who.individuals(storage.connection)
        number = who.individual_of(old, individuals)
        if new in individuals:
            if individuals[new] == number:
                raise UserError(f"{new} has this name already")
            raise UserError(f"another individual is named {new}; to join the two: merge {new!r} {old!r}")
        change = storage.change("rename", f"{old} is now {new}")
        names = {number: new}
        former = storage.connection.execute("SELECT id FROM individuals WHERE name = ?", (new,)).fetchone()
        if former is not None:  # an individual without photos, which has been merged or removed
            names[former[0]] = f"{new} (until change {change})"
        database.set_names(storage.connection, change, names)


def merge(storage: Storage, kept: str, other: str) -> int:
    """Give the photos of another individual to one that is the same animal; return their number.

    Raises:
        UserError: there is no such individual, or both are one.
    """
    with storage.changing():
        individuals = who.individuals(storage.connection)
        into, out_of = who.individual_of(kept, individuals), who.individual_of(other, individuals)
        if into == out_of:
            raise UserError(f"{kept} cannot be merged with itself")
        photos = who.photos_of(storage.connection, out_of)
        change = storage.change("merge", f"{other} into {kept}: {len(photos)} photos")
        database.assign(storage.connection, change, [(photo, into) for photo in photos])
    return len(photos)


def split(storage: Storage, individual: str, photos: Sequence[str]) -> int:
    """Give photos, by name, to an individual, which may be new; return their number.

    Raises:
        UserError: a name is none of the catalogue's photos, or several photos have it.
        DataError: the name of the individual is none.
    """
    individual = checked_name(individual)
    with storage.changing():
        chosen = [who.photo_of(storage.connection, name) for name in photos]
        number = who.numbers_of(storage.connection, {individual})[individual]
        own = set(who.photos_of(storage.connection, number))
        chosen = [photo for photo in dict.fromkeys(chosen) if photo not in own]
        if not chosen:
            raise UserError(f"{individual} has these photos already")
        change = storage.change("split", f"{len(chosen)} photos to {individual}")
        database.assign(storage.connection, change, [(photo, number) for photo in chosen])
    return len(chosen)
