"""A process that moves a catalogue to another store is killed at any moment: the next change leaves one collection."""

from __future__ import annotations

import importlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from made_stores import PACKAGES, require
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.data.records import Record
from siamesekit.errors import ArtifactError
from siamesekit.gallery import leftovers
from siamesekit.gallery.catalogue import Catalogue, enrol
from siamesekit.gallery.catalogue_store import FOLDER
from siamesekit.gallery.leftovers import Leftover, note, noted
from siamesekit.gallery.storage import DATABASE
from siamesekit.gallery.store_choice import OWN, StoreChoice
from siamesekit.progress import Progress
from siamesekit.registry import READERS

KILLS = {"lancedb": 4, "qdrant": 2}
"""Moves that are killed, by the store to which they lead and from which they come."""


def drawn(folder: Path, photos: int) -> list[Record]:
    """So many photos of each of three individuals."""
    from conftest import write_photos  # not in the process that is killed: it imports much

    root = write_photos(folder, ["Ann", "Bob", "Cy"], photos)
    return list(READERS.build("folder", {"root": str(root)}, seed=0))


def folders(place: Path) -> list[str]:
    """Collections in a catalogue's folder."""
    return sorted(entry.name for entry in (place / FOLDER).iterdir()) if (place / FOLDER).exists() else []


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
def test_a_kill_at_any_moment_leaves_no_collection_for_long(telling: Path, tmp_path: Path) -> None:
    for store in KILLS:
        require(store)
    place = tmp_path / "catalogue"
    enrol(telling, drawn(tmp_path / "photos", 3), place, Progress(), device="cpu")[0].close()
    command = [sys.executable, __file__, str(place)]  # a process without threads can fork
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    settings = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, env=settings)
    assert done.returncode == 0, done.stderr
    left = int(done.stdout)
    assert left >= 1, "too few moves were killed after they had begun"


def kill_many(place: Path) -> None:
    """Kill moves after random times, and check what the next change leaves; print in how many cases something was."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # LanceDB warns that processes should not fork; its children start anew
    for store in KILLS:
        importlib.import_module(PACKAGES[store])
    with Catalogue(place, "cpu") as catalogue:
        model = catalogue.model
    random, left = np.random.default_rng(2), 0
    for store, kills in KILLS.items():
        whole = killed_after(place, store, model, None)
        for _ in range(kills):
            killed_after(place, store, model, float(random.uniform(0, whole)))
            left += bool(notes(place))
            _, status = os.waitpid(started(partial(change, place, model)), 0)
            assert status == 0
            assert notes(place) == [] and len(folders(place)) <= 1, (store, folders(place))
    print(left)


def killed_after(place: Path, store: str, model: SimilarityModel, seconds: float | None) -> float:
    """Start to move a catalogue on and on, and kill it after a time, or after two moves; return the seconds before."""
    reading, writing = os.pipe()
    child = started(partial(move_on_and_on, place, store, model, writing))
    assert os.read(reading, 1) == b"."
    start = time.perf_counter()
    if seconds is None:
        assert os.read(reading, 1) + os.read(reading, 1) == b".."
    else:
        time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    taken = time.perf_counter() - start
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the process failed before it was killed"
    os.close(reading)
    os.close(writing)
    return taken


def started(work: Callable[[], object]) -> int:
    """A process that does the work; its exit status says whether it could."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    return child


def move_on_and_on(place: Path, store: str, model: SimilarityModel, ready: int) -> None:
    """Move a catalogue to a store and back until killed."""
    with Catalogue(place, "cpu") as catalogue:
        catalogue._storage._model = catalogue._storage.fact("model"), model  # it is loaded already
        os.write(ready, b".")
        while True:
            catalogue.move_store(store if catalogue.info().store == OWN else OWN)
            os.write(ready, b".")


def change(place: Path, model: SimilarityModel) -> None:
    """Change a catalogue, and search it: all photos are there."""
    with Catalogue(place, "cpu") as catalogue:
        catalogue._storage._model = catalogue._storage.fact("model"), model
        name = next(iter(catalogue.individuals()))
        catalogue.rename(name, f"{name}*")
        embeddings = torch.from_numpy(np.array(catalogue._storage.matrix.read(9)))
        answers = catalogue.search_embeddings([str(n) for n in range(9)], embeddings)
        assert [answer.photos[0].photo for answer in answers] == list(range(1, 10))


def notes(place: Path) -> list[Leftover]:
    """What is noted as left over, read past the catalogue."""
    connection = sqlite3.connect(place / DATABASE)
    try:
        return noted(connection)
    finally:
        connection.close()


def test_a_note_of_anything_but_a_collection_of_a_catalogue_is_refused(telling: Path, tmp_path: Path) -> None:
    with enrol(telling, drawn(tmp_path / "photos", 1), tmp_path / "c", Progress(), device="cpu")[0] as catalogue:
        connection = catalogue._storage.connection
        foreign = [f'[["{{}}", "{name}", 8]]' for name in ("customers", "../siamesekit-1-ab", "")]
        for altered in (*foreign, "[[1]]", "{"):
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (leftovers.FACT, altered))
            with pytest.raises(ArtifactError, match="names collections that are none of its"):
                catalogue.rename("Ann", "Eve")
            assert set(catalogue.individuals()) == {"Ann", "Bob", "Cy"}


def test_what_cannot_be_reached_stays_noted_and_what_is_in_use_stays(telling: Path, tmp_path: Path) -> None:
    with enrol(telling, drawn(tmp_path / "photos", 1), tmp_path / "c", Progress(), device="cpu")[0] as catalogue:
        storage = catalogue._storage
        away = Leftover(StoreChoice("a-plugin"), "siamesekit-0123456789abcdef-1-ab", 8)
        used = Leftover(storage.searched.choice, storage.searched.collection, 8)
        note(storage.connection, [used, away])
        catalogue.rename("Ann", "Eve")
        assert noted(storage.connection) == [away] and set(catalogue.individuals()) == {"Eve", "Bob", "Cy"}


if __name__ == "__main__":
    kill_many(Path(sys.argv[1]))
