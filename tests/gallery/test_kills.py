"""A process that changes a catalogue is killed at any moment: the old or the new state is there, and undo is whole."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import siamesekit.gallery.storage as storage_module
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.data.records import Record
from siamesekit.gallery.catalogue import Catalogue, enrol
from siamesekit.gallery.decisions import Decision, Word
from siamesekit.gallery.known_photos import batches
from siamesekit.gallery.storage import DATABASE
from siamesekit.progress import Progress

PHOTOS = 40


def owners(place: Path) -> dict[str, str]:
    """Individual of each photo, read past the library."""
    connection = sqlite3.connect(place / DATABASE)
    rows = connection.execute(
        "SELECT p.name, i.name FROM photos p JOIN individuals i ON i.id = p.individual"
    ).fetchall()
    connection.close()
    return dict(rows)


def replayed(place: Path) -> tuple[dict[int, int | None], dict[int, str]]:
    """Who is who according to the journal alone, from the first change to the last."""
    connection = sqlite3.connect(place / DATABASE)
    photos: dict[int, int | None] = {}
    names: dict[int, str] = {}
    for (change,) in connection.execute("SELECT id FROM changes ORDER BY id").fetchall():
        for photo, before, after in connection.execute(
            "SELECT photo, before, after FROM moves WHERE change = ?", (change,)
        ):
            assert photos.get(photo) == before
            photos[photo] = after
        for individual, before, after in connection.execute(
            "SELECT individual, before, after FROM renames WHERE change = ?", (change,)
        ):
            assert names.get(individual, before) == before
            names[individual] = after
    connection.close()
    return photos, names


@pytest.mark.timeout(1200)
@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
@pytest.mark.parametrize("kills", [pytest.param(40, marks=pytest.mark.slow), pytest.param(400, marks=pytest.mark.huge)])
def test_a_kill_at_any_moment_loses_nothing(telling: Path, tmp_path: Path, kills: int) -> None:
    photos, place = tmp_path / "photos", tmp_path / "catalogue"
    photos.mkdir()
    random = np.random.default_rng(0)
    for number in range(PHOTOS):
        Image.fromarray(random.integers(0, 256, (24, 24, 3), np.uint8)).save(photos / f"{number:02}.png")
    first = records(photos)[:6]
    catalogue, _ = enrol(telling, [replace(record, individual=record.name) for record in first], place, Progress())
    catalogue.close()
    kept = sorted(entry.name for entry in place.iterdir())
    command = [sys.executable, __file__, str(place), str(photos), str(kills)]  # a process without threads can fork
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    changes, decided = map(int, done.stdout.split())
    assert changes > kills // 10 and decided > kills // 100, "too few changes were made between the kills"
    with Catalogue(place) as catalogue:
        while any(not change.undone and change.command != "undo" for change in catalogue.log()):
            catalogue.undo()
        assert owners(place) == {}
    assert sorted(entry.name for entry in place.iterdir()) == kept, "the last kill may leave a journal until a change"


def kill_many(place: Path, photos: Path, kills: int) -> None:
    """Start processes that change the catalogue, kill each after a random time, and check; print the changes made."""
    torch.set_num_threads(1)
    storage_module.BATCH = 3  # several batches in a call
    with Catalogue(place, "cpu") as catalogue:
        model = catalogue.model
        everything = records(photos)
        rows = model.embed_records(everything, Progress()).numpy()
    row_of = {record.name: row for record, row in zip(everything, rows, strict=True)}
    random = np.random.default_rng(1)
    for number in range(kills):
        child = os.fork()
        if child == 0:
            try:
                change_on_and_on(place, everything, model, np.random.default_rng(number))
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        time.sleep(float(random.uniform(0, 0.3)))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the process failed before it was killed"
        check(place, row_of)
    with Catalogue(place) as catalogue:
        print(len(catalogue.log()), sum(change.command == "decide" for change in catalogue.log()))


def change_on_and_on(
    place: Path, everything: list[Record], model: SimilarityModel, random: np.random.Generator
) -> None:
    """Change a catalogue until killed."""
    with Catalogue(place, "cpu") as catalogue:
        storage = catalogue._storage
        storage._model = storage.fact("model"), model  # it is loaded already
        while True:
            people = sorted(catalogue.individuals())
            kind = random.integers(6) if len(people) > 2 else 0
            if kind == 0:
                mine = owners(place)
                chosen = [everything[n] for n in random.choice(len(everything), 8, replace=False)]
                new = f"n{random.integers(1 << 30)}"
                catalogue.add([replace(r, individual=mine.get(r.name, new)) for r in chosen], Progress())
            elif kind == 5:
                mine = owners(place)
                left = [record for record in everything if record.name not in mine][:5]
                words = {0: ("same", people[0]), 1: ("new", f"d{random.integers(1 << 30)}"), 2: ("bad", "")}
                catalogue.decide([decision(record, *words[n % 3]) for n, record in enumerate(left)], Progress())
            elif kind == 1:
                catalogue.merge(people[0], people[-1])
            elif kind == 2:
                catalogue.rename(people[0], f"r{random.integers(1 << 30)}")
            elif kind == 3:
                catalogue.split(f"s{random.integers(1 << 30)}", random.choice(list(owners(place)), 2).tolist())
            else:
                catalogue.undo()


def decision(record: Record, word: Word, individual: str) -> Decision:
    """A decision on a photo."""
    digest = sha256(Path(str(record.source)).read_bytes()).hexdigest()
    return Decision(replace(record, individual=individual), digest, word, (), "here")


def records(photos: Path) -> list[Record]:
    """All photos of the folder."""
    return [Record(file.name, "x", file) for file in sorted(photos.iterdir())]


def check(place: Path, row_of: dict[str, NDArray[Any]]) -> None:
    """The catalogue opens, its journal explains its state, and each photo has its own embedding."""
    photos, names = replayed(place)
    connection = sqlite3.connect(place / DATABASE)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    stored = connection.execute("SELECT id, individual, name FROM photos ORDER BY id").fetchall()
    assert {photo: individual for photo, individual, _ in stored if individual} == {
        photo: individual for photo, individual in photos.items() if individual
    }
    known = dict(connection.execute("SELECT id, name FROM individuals"))
    assert all(known[individual] == name for individual, name in names.items())
    decided = (
        "SELECT d.change, d.photo, d.decision IN ('same', 'new'), m.photo IS NOT NULL, c.command FROM decisions d "
    )
    decided += "LEFT JOIN moves m ON (m.change, m.photo) = (d.change, d.photo) JOIN changes c ON c.id = d.change"
    for _, _, placed, moved, command in connection.execute(decided):
        assert (placed, command) == (moved, "decide")  # a decision is there with all that follows from it
    connection.close()
    with Catalogue(place) as catalogue:
        matrix = catalogue._storage.matrix
        matrix.verify(batches(catalogue._storage.connection))
        rows = matrix.read(len(stored))
        for photo, _, name in stored:
            np.testing.assert_allclose(rows[photo - 1], row_of[name], atol=1e-5)


if __name__ == "__main__":
    kill_many(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
