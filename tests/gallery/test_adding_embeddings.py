"""Photos are enrolled and searched by a file of their embeddings as by themselves."""

from __future__ import annotations

import csv
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from made_stores import require
from siamesekit.artifact.embedding_files import write_embeddings
from siamesekit.artifact.loading import load
from siamesekit.cli.app import app
from siamesekit.errors import DataError, OutputError, UserError
from siamesekit.gallery import adding_embeddings, asked_photos, catalogue_search
from siamesekit.gallery.catalogue import Catalogue, enrol
from siamesekit.gallery.storage import DATABASE
from siamesekit.gallery.store_choice import StoreChoice
from siamesekit.progress import Progress

PEOPLE, EACH = 12, 4
LANCEDB = StoreChoice("lancedb", {"exact": False, "index_from": 1})


def drawn(dimensions: int, seed: int = 0) -> tuple[list[Path], NDArray[np.float32], list[str]]:
    """Paths, embeddings `[48, D]` around a middle for each individual, and names."""
    middles = np.random.default_rng(9).normal(size=(PEOPLE, dimensions))
    noise = np.random.default_rng(seed).normal(size=(PEOPLE * EACH, dimensions))
    rows = (np.repeat(middles, EACH, 0) + 0.3 * noise).astype(np.float32)
    names = [f"p{number // EACH:02}" for number in range(PEOPLE * EACH)]
    return [Path(f"photos/{name}/{seed}-{n}.jpg") for n, name in enumerate(names)], rows, names


@pytest.fixture
def dimensions(telling: Path) -> int:
    """Length of an embedding of the model."""
    return int(load(telling, "cpu").encoder.head.embedding_dim)


@pytest.fixture
def file(dimensions: int, tmp_path: Path) -> Path:
    """A file of embeddings."""
    place = tmp_path / "e.npz"
    write_embeddings(place, *drawn(dimensions))
    return place


def counts(place: Path) -> tuple[int, int]:
    """Photos that are known, and those with an individual, read past the library."""
    connection = sqlite3.connect(place / DATABASE)
    (found,) = connection.execute("SELECT count(*), count(individual) FROM photos").fetchall()
    connection.close()
    return tuple(found)


def call(*arguments: object) -> Any:
    """A command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.medium
@pytest.mark.parametrize("store", ["memory-mapped", "lancedb"])
def test_what_is_enrolled_by_embeddings_is_found_by_them(
    store: str, telling: Path, file: Path, dimensions: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(store)
    monkeypatch.setattr(adding_embeddings, "MOVED", 7)
    monkeypatch.setattr(adding_embeddings, "ROWS", 5)
    asked, queries = tmp_path / "q.parquet", drawn(dimensions, 1)
    write_embeddings(asked, *queries)
    options = () if store == "memory-mapped" else ("--store", store)
    made = call("enrol", telling, file, "-o", tmp_path / "c", "--device", "cpu", *options)
    assert made.exit_code == 0 and "48 photos added, 12 new individuals" in made.output, made.output
    for module in (asked_photos, catalogue_search):
        monkeypatch.setattr(module, "AT_ONCE", 7)  # several parts of queries
    table = tmp_path / "answers.csv"
    found = call("search", tmp_path / "c", asked, "-k", 3, "--csv", table, "--device", "cpu")
    assert found.exit_code == 0 and "48 answers" in found.output, found.output
    with table.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    _, known, names = drawn(dimensions)
    assert [row["query"] for row in rows[::3]] == [str(path) for path in queries[0]]
    with Catalogue(tmp_path / "c", "cpu") as catalogue:
        far = catalogue.model.distance
        import torch

        for number, query in enumerate(queries[1]):
            distances = far(torch.from_numpy(query)[None], torch.from_numpy(known)).numpy()
            best = {name: min(distances[n] for n in range(48) if names[n] == name) for name in names}
            expected = sorted(best, key=lambda name: best[name])[:3]
            answer = rows[3 * number : 3 * number + 3]
            assert [row["individual"] for row in answer] == expected
            np.testing.assert_allclose(
                [float(row["distance"]) for row in answer], [best[n] for n in expected], rtol=1e-4
            )


def test_photos_that_are_there_copies_and_those_without_a_name_are_counted(
    telling: Path, dimensions: int, tmp_path: Path
) -> None:
    paths, rows, names = drawn(dimensions)
    write_embeddings(tmp_path / "a.npz", paths[:20], rows[:20], names[:20])
    more = [*range(10, 40), 39, 39]
    named = [*(names[n] for n in more[:-3]), "", names[39], names[39]]
    write_embeddings(tmp_path / "b.csv", [paths[n] for n in more], rows[more], named)
    with enrol(telling, tmp_path / "a.npz", tmp_path / "c", Progress(), device="cpu")[0] as catalogue:
        added = catalogue.add_embeddings(tmp_path / "b.csv", Progress())
        assert (added.photos, added.individuals, added.enrolled, added.copies, added.unnamed) == (20, 5, 10, 1, 1)
        assert catalogue.info().photos == 40
        catalogue.undo()
        assert catalogue.info().photos == 20 and counts(tmp_path / "c") == (40, 20)
        assert catalogue.add_embeddings(tmp_path / "b.csv", Progress()).photos == 20
        assert counts(tmp_path / "c") == (40, 40)


@pytest.mark.parametrize("together", [[], ["--together"]])
def test_a_file_without_rows_is_not_searched(
    together: list[str], telling: Path, file: Path, dimensions: int, tmp_path: Path
) -> None:
    with enrol(telling, file, tmp_path / "c", Progress(), device="cpu")[0]:
        pass
    write_embeddings(tmp_path / "q.csv", [], np.zeros((0, dimensions), np.float32))
    found = call("search", tmp_path / "c", tmp_path / "q.csv", *together, "--device", "cpu")
    assert found.exit_code == 2 and "q.csv has no rows" in found.output, found.output


def test_photos_with_two_individuals_are_refused(telling: Path, file: Path, dimensions: int, tmp_path: Path) -> None:
    paths, rows, _ = drawn(dimensions)
    with enrol(telling, file, tmp_path / "c", Progress(), device="cpu")[0] as catalogue:
        write_embeddings(tmp_path / "b.npz", paths[:2], rows[:2], ["Eve", "p00"])
        with pytest.raises(DataError, match="1 photos have two individuals; nothing was changed") as caught:
            catalogue.add_embeddings(tmp_path / "b.npz", Progress())
        assert caught.value.details == ("photos/p00/0-0.jpg: Eve here, is enrolled as p00",)
        write_embeddings(tmp_path / "b.npz", [Path("n"), Path("n")], rows[[0, 0]], ["Eve", "p00"])
        with pytest.raises(DataError) as caught:
            catalogue.add_embeddings(tmp_path / "b.npz", Progress())
        assert caught.value.details == ("n: p00 here, occurs also as Eve",)
        assert catalogue.info().photos == 48 and len(catalogue.log()) == 1


def test_an_interrupted_call_is_continued(
    telling: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, store, read = tmp_path / "c", adding_embeddings._store, adding_embeddings.read_embeddings
    parts = 0

    def interrupted(*given: Any) -> None:
        nonlocal parts
        parts += 1
        if parts == 3:
            raise KeyboardInterrupt
        store(*given)

    monkeypatch.setattr(adding_embeddings, "read_embeddings", lambda file, dimensions: read(file, dimensions, 10))
    with monkeypatch.context() as killed:
        killed.setattr(adding_embeddings, "_store", interrupted)
        with pytest.raises(KeyboardInterrupt):
            enrol(telling, file, place, Progress(), device="cpu")
    assert counts(place) == (20, 0)
    catalogue, added = enrol(telling, file, place, Progress(), device="cpu")
    with catalogue:
        assert added.photos == 48 and counts(place) == (48, 48)
        matrix, (_, rows, _) = catalogue._storage.matrix, drawn(catalogue.info().dimensions)
        np.testing.assert_array_equal(matrix.read(48), rows)


def test_a_kill_within_the_making_of_an_index_leaves_all_photos(
    telling: Path, file: Path, dimensions: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("lancedb")
    from siamesekit.components.stores.lancedb import LanceDB

    settled = 0

    def killed(store: LanceDB) -> None:
        raise KeyboardInterrupt

    def counted(store: LanceDB) -> None:
        nonlocal settled
        settled += 1

    with monkeypatch.context() as there:
        there.setattr(LanceDB, "settle", killed)
        with pytest.raises(KeyboardInterrupt):
            enrol(telling, file, tmp_path / "c", Progress(), device="cpu", store=LANCEDB)
    import torch

    with Catalogue(tmp_path / "c", "cpu") as catalogue:
        _, rows, names = drawn(dimensions)
        answers = catalogue.search_embeddings(names, torch.from_numpy(rows))
        assert [answer.candidates[0].individual for answer in answers] == names
        monkeypatch.setattr(LanceDB, "settle", counted)
        assert catalogue.add_embeddings(file).photos == 0
        assert settled == 1
        catalogue.rename("p00", "Ann")
        assert settled == 2


def test_an_index_that_cannot_be_made_is_said_and_the_change_stays(
    telling: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("lancedb")
    from siamesekit.components.stores.lancedb import LanceDB

    def full(store: LanceDB) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr(LanceDB, "settle", full)
    with pytest.raises(OutputError, match="the change is made, but the store has no index of it: the disk is full"):
        enrol(telling, file, tmp_path / "c", Progress(), device="cpu", store=LANCEDB)
    assert counts(tmp_path / "c") == (48, 48)


def test_what_has_no_photos_is_refused_where_photos_are_needed(telling: Path, file: Path, tmp_path: Path) -> None:
    with enrol(telling, file, tmp_path / "c", Progress(), device="cpu")[0] as catalogue:
        with pytest.raises(DataError, match="48 of 48 photos were enrolled by their embeddings"):
            catalogue.re_embed(telling, Progress())
        assert catalogue.info().photos == 48
    refused = call("search", tmp_path / "c", file, "--matcher", "sift", "--device", "cpu")
    assert refused.exit_code == 2 and "has only their embeddings" in " ".join(refused.output.split())
    refused = call("enrol", telling, file, "-o", tmp_path / "d", "--device", "cpu", "--follow-links")
    assert refused.exit_code == 2 and "there are no such options" in " ".join(refused.output.split())
    assert not (tmp_path / "d").exists()


def test_embeddings_of_another_model_are_refused(telling: Path, dimensions: int, tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e.csv", *drawn(dimensions + 1))
    refused = call("enrol", telling, tmp_path / "e.csv", "-o", tmp_path / "c", "--device", "cpu")
    assert refused.exit_code == 2 and "they are another model's" in " ".join(refused.output.split())


def test_a_part_of_the_photos_is_no_copy_of_their_embeddings(telling: Path, file: Path, tmp_path: Path) -> None:
    require("lancedb")
    with enrol(telling, file, tmp_path / "c", Progress(), device="cpu", store="lancedb")[0] as catalogue:
        catalogue.remove(["p00"])
        import torch

        _, rows, names = drawn(catalogue.info().dimensions)
        answers = catalogue.search_embeddings(names[:8], torch.from_numpy(rows[:8]))
        assert all(answer.photos[0].individual != "p00" for answer in answers[:4])
        assert [answer.candidates[0].individual for answer in answers[4:]] == names[4:8]
        gallery, known = catalogue._search.gallery()
        assert len(gallery.stored) == 48 and len(gallery) == len(known.photos) == 44
        assert next(iter(known.photos))[0] == known.photos[0][0] == "photos/p01/0-4.jpg"
        np.testing.assert_array_equal(gallery.rows(np.array([0, 43])), rows[[4, 47]])
        part, names_of_part = catalogue._search.gallery("individual = 'p03'")
        assert part.photos.tolist() == [13, 14, 15, 16] and list(names_of_part.individuals) == ["p03"]
        np.testing.assert_array_equal(part.embeddings, rows[12:16])
    with pytest.raises(UserError):
        enrol(telling, file, tmp_path / "c", Progress(), device="cpu")
