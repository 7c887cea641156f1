"""Undoing a change of very many photos: each that still stands where the change put it goes back, in little memory."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import peak_memory
from siamesekit.gallery import database

INDIVIDUALS = 7


def made(file: Path, photos: int) -> sqlite3.Connection:
    """A database with photos, each of an individual or of none."""
    database.create(file, {})
    connection = database.connect(file)
    with database.transaction(connection):
        connection.executemany(
            "INSERT INTO individuals VALUES (?, ?)", ((n, f"i{n}") for n in range(1, INDIVIDUALS + 1))
        )
        connection.executemany(
            "INSERT INTO photos VALUES (?, ?, ?, '', '', ?, x'')",
            ((n, n % (INDIVIDUALS + 1) or None, f"{n}.jpg", f"{n:064x}") for n in range(1, photos + 1)),
        )
    return connection


def where(connection: sqlite3.Connection) -> dict[int, int | None]:
    """The individual of each photo."""
    return dict(connection.execute("SELECT id, individual FROM photos"))


def test_only_photos_that_still_stand_there_go_back(tmp_path: Path) -> None:
    """As a plain loop says, for two changes of random photos, of which the first is undone, and then the undoing."""
    chance, connection = random.Random(4), made(tmp_path / "c.sqlite", 60)

    def moves(count: int) -> list[tuple[int, int | None]]:
        return [(photo, chance.choice([None, 1, 2, 3])) for photo in chance.sample(range(1, 61), count)]

    for _ in range(20):
        with database.transaction(connection):
            first = database.new_change(connection, "", "", "decide", "")
            before, moved = where(connection), moves(40)
            database.assign(connection, first, moved)
            second = database.new_change(connection, "", "", "decide", "")
            database.assign(connection, second, moves(25))
            now = where(connection)
            back = {photo: before[photo] for photo, after in moved if now[photo] == after}
            undo = database.new_change(connection, "", "", "undo", "", first)
            assert database.reverse(connection, first, undo) == len(back)
            assert where(connection) == now | back
            journal = connection.execute("SELECT photo, before, after FROM moves WHERE change = ?", (undo,))
            assert {photo: (old, new) for photo, old, new in journal} == {
                photo: (now[photo], old) for photo, old in back.items()
            }
            redo = database.new_change(connection, "", "", "undo", "", undo)
            assert database.reverse(connection, undo, redo) == len(back)
            assert where(connection) == now
    connection.close()


CHILD = """
import sys
from pathlib import Path
from siamesekit.gallery import database

connection = database.connect(Path(sys.argv[1]))
forget_peak()
before = peak_memory()
with database.transaction(connection):
    change = database.new_change(connection, "", "", "undo", "", 1)
    assert database.reverse(connection, 1, change) == int(sys.argv[2])
print((peak_memory() - before) / 2**20)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_photos(tmp_path: Path) -> None:
    """Measured: 2.6 MiB for 100,000 and for 200,000 photos, SQLite's cache; as a list, they took 10 and 20."""
    taken = []
    for photos in (20_000, 100_000):
        file = tmp_path / f"{photos}.sqlite"
        connection = made(file, photos)
        with database.transaction(connection):
            change = database.new_change(connection, "", "", "decide", "")
            connection.execute("INSERT INTO moves SELECT ?, id, individual, 1 FROM photos", (change,))
            connection.execute("UPDATE photos SET individual = 1")
        connection.close()
        code = Path(peak_memory.__file__).read_text() + CHILD
        found = subprocess.run(
            [sys.executable, "-c", code, file, str(photos)], capture_output=True, text=True, check=True
        )
        taken.append(float(found.stdout))
    assert taken[1] - taken[0] < 3, taken
