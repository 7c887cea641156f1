"""The database of a catalogue: individuals, photos, attributes, and a journal of every change.

A photo is known with its embedding before it belongs to an individual. A change moves photos between individuals (or
from and to none) and renames individuals; the journal keeps both sides of each move, so that every change can be
undone. A change that applies a person's decisions keeps them, with the individuals that the person has rejected. All
values reach SQL as parameters.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from siamesekit.errors import ArtifactError, OutputError
from siamesekit.files.untrusted import open_regular
from siamesekit.wording import line_of_name

APPLICATION, VERSION = 0x51A3E5, 1
"""`application_id` and `user_version` of the database."""
WAIT = 20.0
"""Seconds to wait for another process that commits."""
MAGIC = b"SQLite format 3\0"
TABLES = (
    "CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE individuals (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
    "CREATE TABLE photos (id INTEGER PRIMARY KEY, individual INTEGER REFERENCES individuals(id), name TEXT NOT NULL, "
    "path TEXT NOT NULL, box TEXT NOT NULL, sha256 TEXT NOT NULL, thumbnail BLOB NOT NULL, UNIQUE (sha256, box)) "
    "STRICT",
    "CREATE INDEX photos_of_individual ON photos (individual)",
    "CREATE INDEX photos_by_name ON photos (name)",
    "CREATE TABLE attributes (name TEXT, photo INTEGER REFERENCES photos(id), value TEXT NOT NULL, "
    "PRIMARY KEY (name, photo)) STRICT, WITHOUT ROWID",
    "CREATE TABLE batches (first INTEGER PRIMARY KEY, rows INTEGER NOT NULL, checksum INTEGER NOT NULL) STRICT",
    "CREATE TABLE changes (id INTEGER PRIMARY KEY, date TEXT NOT NULL, author TEXT NOT NULL, command TEXT NOT NULL, "
    "summary TEXT NOT NULL, undoes INTEGER UNIQUE REFERENCES changes(id)) STRICT",
    "CREATE TABLE moves (change INTEGER REFERENCES changes(id), photo INTEGER REFERENCES photos(id), "
    "before INTEGER REFERENCES individuals(id), after INTEGER REFERENCES individuals(id), "
    "PRIMARY KEY (change, photo)) STRICT, WITHOUT ROWID",
    "CREATE TABLE renames (change INTEGER REFERENCES changes(id), individual INTEGER REFERENCES individuals(id), "
    "before TEXT NOT NULL, after TEXT NOT NULL, PRIMARY KEY (change, individual)) STRICT, WITHOUT ROWID",
    "CREATE TABLE decisions (change INTEGER REFERENCES changes(id), photo INTEGER REFERENCES photos(id), "
    "decision TEXT NOT NULL, PRIMARY KEY (change, photo)) STRICT, WITHOUT ROWID",
    "CREATE TABLE rejected (change INTEGER REFERENCES changes(id), photo INTEGER REFERENCES photos(id), "
    "individual INTEGER REFERENCES individuals(id), PRIMARY KEY (change, photo, individual)) STRICT, WITHOUT ROWID",
)
"""The schema. A database with any other is refused, so that no trigger or view of a stranger runs."""


@dataclass(frozen=True)
class Change:
    """An entry of the journal.

    Attributes:
        id: its number, from 1 on.
        date: date and time in UTC, ISO 8601.
        author: who made the change.
        command: `add`, `decide`, `remove`, `rename`, `merge`, `split`, `re-embed`,
            `move-store` or `undo`.
        summary: the change in words.
        undoes: number of the change that this one undid, or None.
        undone: whether a later change has undone this one.
    """

    id: int
    date: str
    author: str
    command: str
    summary: str
    undoes: int | None
    undone: bool


def create(file: Path, facts: Mapping[str, str]) -> None:
    """Create an empty database at a path that does not exist."""
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("BEGIN")
        for table in TABLES:
            connection.execute(table)
        connection.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
        connection.execute("COMMIT")
    finally:
        connection.close()


def connect(file: Path) -> sqlite3.Connection:
    """Open an existing database and check that it is one of a catalogue.

    Raises:
        ArtifactError: it is missing, damaged, of another version, or has another schema.
    """
    shown = line_of_name(str(file))
    try:
        with open_regular(file) as opened:
            beginning = opened.read(len(MAGIC))
    except OSError:
        raise ArtifactError(
            f"there is no catalogue in {line_of_name(str(file.parent))}: {file.name} is missing; to make one: "
            "siamesekit enrol RUN INPUT -o CATALOGUE"
        ) from None
    if beginning != MAGIC:
        raise ArtifactError(f"{shown} is damaged: it is no SQLite database; restore a copy of the catalogue")
    connection = sqlite3.connect(file.absolute().as_uri() + "?mode=rw", uri=True, isolation_level=None, timeout=WAIT)
    try:
        with telling(shown):
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            schema = {row[0] for row in connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")}
        if application != APPLICATION:
            raise ArtifactError(f"{shown} is not the database of a catalogue; name another folder")
        if version != VERSION:
            raise ArtifactError(
                f"{shown} has version {version} of the catalogue's form, and this siamesekit reads version {VERSION}; "
                "use the siamesekit that wrote it"
            )
        if schema != set(TABLES):
            raise ArtifactError(f"{shown} is altered: it has other tables; restore a copy of the catalogue")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def telling(shown: str) -> Iterator[None]:
    """Turn SQLite's errors into words.

    Raises:
        ArtifactError: the file is damaged.
        OutputError: the file cannot be read or written now.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise OutputError(f"{shown} is in use by another process; try again when it has ended") from error
        raise OutputError(f"{shown}: {error}; nothing was changed") from error
    except sqlite3.DatabaseError as error:
        raise ArtifactError(f"{shown} is damaged: {error}; restore a copy of the catalogue") from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All statements or none; nothing is written after an error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


@contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[None]:
    """Read one state of the database, whatever other processes write meanwhile; within a transaction, that one's."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


@contextmanager
def rehearsal(connection: sqlite3.Connection) -> Iterator[None]:
    """Statements that are taken back at the end."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


def fact(connection: sqlite3.Connection, key: str, default: str | None = None) -> str:
    """One fact about the catalogue, such as the digest of its model.

    Args:
        connection: the database.
        key: name of the fact.
        default: for catalogues that do not name it; None: it must be there.

    Raises:
        ArtifactError: it is missing.
    """
    found = connection.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
    if found is None and default is not None:
        return default
    if found is None:
        raise ArtifactError(f"the catalogue is altered: it does not name its {key}; restore a copy of it")
    return str(found[0])


def set_facts(connection: sqlite3.Connection, facts: Mapping[str, str]) -> None:
    """Write facts about the catalogue, in place of those of the same names."""
    query = "INSERT INTO facts VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    connection.executemany(query, facts.items())


def new_change(
    connection: sqlite3.Connection, date: str, author: str, command: str, summary: str, undoes: int | None = None
) -> int:
    """Write an entry of the journal; return its number."""
    cursor = connection.execute(
        "INSERT INTO changes (date, author, command, summary, undoes) VALUES (?, ?, ?, ?, ?)",
        (date, author, command, summary, undoes),
    )
    return int(cursor.lastrowid or 0)


def assign(connection: sqlite3.Connection, change: int, photos: Sequence[tuple[int, int | None]]) -> None:
    """Move photos to individuals (None: out of the catalogue), and note it in the journal.

    Args:
        connection: the database, in a transaction.
        change: number of the change.
        photos: photos with their new individuals.
    """
    connection.executemany(
        "INSERT INTO moves SELECT ?, id, individual, ? FROM photos WHERE id = ?",
        ((change, after, photo) for photo, after in photos),
    )
    connection.executemany("UPDATE photos SET individual = ? WHERE id = ?", ((after, photo) for photo, after in photos))


def set_names(connection: sqlite3.Connection, change: int, names: Mapping[int, str]) -> None:
    """Rename individuals, by their numbers, and note it in the journal; names may be exchanged."""
    connection.executemany(
        "INSERT INTO renames SELECT ?, id, name, ? FROM individuals WHERE id = ?",
        ((change, name, individual) for individual, name in names.items()),
    )
    for form in ("\x1f{}", None):  # first to names that nobody has
        connection.executemany(
            "UPDATE individuals SET name = ? WHERE id = ?",
            ((name if form is None else form.format(individual), individual) for individual, name in names.items()),
        )


def keep_decisions(
    connection: sqlite3.Connection,
    change: int,
    decisions: Mapping[int, str],
    rejected: Mapping[int, Sequence[int]],
) -> None:
    """Keep the decisions on photos, and the individuals that a person has rejected for them, all by their numbers."""
    connection.executemany(
        "INSERT INTO decisions VALUES (?, ?, ?)", ((change, photo, word) for photo, word in decisions.items())
    )
    connection.executemany(
        "INSERT INTO rejected VALUES (?, ?, ?)",
        ((change, photo, individual) for photo, others in rejected.items() for individual in dict.fromkeys(others)),
    )


def reverse(connection: sqlite3.Connection, undone: int, change: int) -> int:
    """Undo the moves and renames of a change, as a change of its own; return the number of photos moved back.

    A photo that another change has moved since stays where it is. SQLite moves the photos: they may be millions, and
    are not read here.
    """
    moved = connection.execute(
        "INSERT INTO moves SELECT ?, p.id, p.individual, m.before FROM moves m JOIN photos p ON p.id = m.photo "
        "WHERE m.change = ? AND p.individual IS m.after",
        (change, undone),
    ).rowcount
    connection.execute(
        "UPDATE photos SET individual = m.after FROM moves m WHERE m.change = ? AND photos.id = m.photo", (change,)
    )
    set_names(
        connection,
        change,
        dict(connection.execute("SELECT individual, before FROM renames WHERE change = ?", (undone,))),
    )
    return moved


def moved_since(connection: sqlite3.Connection, change: int) -> int:
    """Number of photos of a change that are not any more where it has moved them."""
    (count,) = connection.execute(
        "SELECT count(*) FROM moves m JOIN photos p ON p.id = m.photo "
        "WHERE m.change = ? AND p.individual IS NOT m.after",
        (change,),
    ).fetchone()
    return int(count)


def undone_since(connection: sqlite3.Connection, change: int) -> set[int]:
    """Numbers of the changes that changes after this one have undone."""
    return {row[0] for row in connection.execute("SELECT undoes FROM changes WHERE id > ? AND undoes > 0", (change,))}


def changes(connection: sqlite3.Connection, most: int | None = None) -> list[Change]:
    """The latest entries of the journal, the newest first."""
    return list(itertools.islice(newest_changes(connection), most))


def newest_changes(connection: sqlite3.Connection) -> Iterator[Change]:
    """The entries of the journal, the newest first, as they are asked for."""
    rows = connection.execute(
        "SELECT c.id, c.date, c.author, c.command, c.summary, c.undoes, u.id IS NOT NULL FROM changes c "
        "LEFT JOIN changes u ON u.undoes = c.id ORDER BY c.id DESC"
    )
    for number, date, author, command, summary, undoes, undone in rows:
        yield Change(number, date, author, command, summary, undoes, bool(undone))
