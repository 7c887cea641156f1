"""Individuals and photos of a catalogue's database by their names."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable

from siamesekit.errors import UserError
from siamesekit.wording import line_of_name, near

ASKED = 500
"""Values in one statement."""


def individuals(connection: sqlite3.Connection, without: int | None = None) -> dict[str, int]:
    """Numbers of the individuals that have photos, by name.

    Args:
        connection: the database.
        without: a change; photos that it has moved do not count.
    """
    return dict(
        connection.execute(
            "SELECT name, id FROM individuals WHERE id IN (SELECT individual FROM photos WHERE id NOT IN "
            "(SELECT photo FROM moves WHERE change = ?))",
            (without,),
        )
    )


def numbers_of(connection: sqlite3.Connection, names: Collection[str]) -> dict[str, int]:
    """Numbers of individuals by name; those that are new are created."""
    connection.executemany(
        "INSERT INTO individuals (name) VALUES (?) ON CONFLICT DO NOTHING", ((name,) for name in sorted(names))
    )
    query = "SELECT id FROM individuals WHERE name = ?"
    return {name: connection.execute(query, (name,)).fetchone()[0] for name in names}


def individual_of(name: str, known: dict[str, int]) -> int:
    """Number of an individual among those of `individuals`.

    Raises:
        UserError: there is none of that name.
    """
    if name not in known:
        raise UserError(f"the catalogue has no individual {name!r}{near(name, known)}")
    return known[name]


def photo_of(connection: sqlite3.Connection, name: str, or_individuals: Iterable[str] | None = None) -> int:
    """Number of a photo of the catalogue, by its name or path.

    Args:
        connection: the database.
        name: name or path of the photo.
        or_individuals: names of individuals, if the name could have been one of them.

    Raises:
        UserError: no photo has that name, or several have.
    """
    found = connection.execute(
        "SELECT id FROM photos WHERE (name = ? OR path = ?) AND individual IS NOT NULL", (name, name)
    ).fetchall()
    if len(found) == 1:
        return int(found[0][0])
    if found:
        raise UserError(f"{len(found)} photos are named {line_of_name(name)}; name the photo by its whole path")
    what = "photo" if or_individuals is None else "individual or photo"
    raise UserError(f"the catalogue has no {what} {name!r}{near(name, or_individuals or ())}")


def photos_of(connection: sqlite3.Connection, individual: int) -> list[int]:
    """Numbers of an individual's photos, ascending."""
    return [
        row[0] for row in connection.execute("SELECT id FROM photos WHERE individual = ? ORDER BY id", (individual,))
    ]


def photos_by_individual(connection: sqlite3.Connection) -> dict[str, list[int]]:
    """Numbers of each individual's photos, ascending, by its name."""
    found: dict[str, list[int]] = {}
    rows = connection.execute(
        "SELECT i.name, p.id FROM photos p JOIN individuals i ON i.id = p.individual ORDER BY i.name, p.id"
    )
    for name, number in rows:
        found.setdefault(name, []).append(number)
    return found


def known_photo(connection: sqlite3.Connection, identity: tuple[str, str]) -> tuple[int, str | None] | None:
    """Number of a known photo and the name of its individual (None: not in the catalogue now); None if it is unknown.

    Args:
        connection: the database.
        identity: digest of the file, and the box as text.
    """
    row = connection.execute(
        "SELECT p.id, i.name FROM photos p LEFT JOIN individuals i ON i.id = p.individual "
        "WHERE p.sha256 = ? AND p.box = ?",
        identity,
    ).fetchone()
    return None if row is None else (row[0], row[1])


def known_photos(connection: sqlite3.Connection, digests: Collection[str]) -> dict[str, tuple[int, str | None]]:
    """The known photos without a box of some digests: each one's number and individual, as `known_photo` gives them."""
    found: dict[str, tuple[int, str | None]] = {}
    asked = list(digests)
    for start in range(0, len(asked), ASKED):
        some = asked[start : start + ASKED]
        rows = connection.execute(
            "SELECT p.sha256, p.id, i.name FROM photos p LEFT JOIN individuals i ON i.id = p.individual "
            f"WHERE p.box = '' AND p.sha256 IN ({', '.join('?' * len(some))})",
            some,
        )
        found.update((digest, (number, name)) for digest, number, name in rows)
    return found


def last_decision(connection: sqlite3.Connection, photo: int) -> str | None:
    """The last decision on a photo that is not undone; None without one."""
    row = connection.execute(
        "SELECT decision FROM decisions d WHERE photo = ? AND NOT EXISTS "
        "(SELECT 1 FROM changes WHERE undoes = d.change) ORDER BY change DESC LIMIT 1",
        (photo,),
    ).fetchone()
    return None if row is None else str(row[0])
