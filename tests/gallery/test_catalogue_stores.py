"""A catalogue with each store answers as one with the memory-mapped store does, and survives what stores lose."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from conftest import Told, draw_photo, write_photos
from made_stores import NAMES, require
from siamesekit.cli.app import app
from siamesekit.data.records import Record
from siamesekit.errors import ArtifactError, OutputError
from siamesekit.gallery import catalogue_store
from siamesekit.gallery.catalogue import Catalogue, enrol
from siamesekit.gallery.catalogue_store import FOLDER, wanted
from siamesekit.gallery.search import Answer
from siamesekit.gallery.search_options import SearchOptions
from siamesekit.gallery.store_choice import StoreChoice
from siamesekit.progress import Progress
from siamesekit.registry import READERS

PEOPLE = ["Ann", "Bob", "Cy", "Di"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn photos of four individuals."""
    return write_photos(tmp_path_factory.mktemp("photos"), PEOPLE, 3)


@pytest.fixture(params=NAMES)
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a store that can be opened here."""
    require(request.param, monkeypatch)
    return str(request.param)


@pytest.fixture(params=[name for name in NAMES if name != "memory-mapped"])
def other(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a store that holds a copy of the embeddings."""
    require(request.param, monkeypatch)
    return str(request.param)


@pytest.fixture
def catalogue(other: str, telling: Path, photos: Path, tmp_path: Path) -> Iterator[Catalogue]:
    """A catalogue with that store."""
    made, _ = enrol(telling, records_of(photos), tmp_path / "c", Progress(), device="cpu", store=other)
    yield made
    made.close()


def records_of(folder: Path) -> list[Record]:
    """The photos of a folder of individuals, with a site each."""
    read: list[Record] = READERS.build("folder", {"root": str(folder)}, seed=0)
    sites = dict(zip(PEOPLE, ["North", "South", "North", "South"], strict=True))
    return [Record(r.name, r.individual, r.source, attributes={"site": sites[r.individual]}) for r in read]


def queries() -> list[Any]:
    """Photos of two of the individuals."""
    return [draw_photo(0, 9), draw_photo(2, 8)]


def told(answers: list[Answer]) -> list[Any]:
    """What answers say, but for the last digits of distances."""
    return [
        [(each.individual, each.best.name, round(each.distance, 4)) for each in answer.candidates]
        + [(photo.name, round(photo.distance, 4)) for photo in answer.photos]
        for answer in answers
    ]


def in_store(catalogue: Catalogue) -> list[int]:
    """Numbers of the photos in the store."""
    ids: list[int] = catalogue._storage.searched.opened().ids().tolist()
    return ids


@pytest.mark.slow
def test_every_command_works_with_every_store_as_with_the_memory_mapped_one(
    store: str, telling: Path, photos: Path, tmp_path: Path
) -> None:
    records = records_of(photos)
    shutil.copytree(telling, tmp_path / "other")
    description = json.loads((tmp_path / "other/model/model.json").read_text())
    (tmp_path / "other/model/model.json").write_text(json.dumps(description | {"note": "x"}))
    seen = []
    for name in (store, "memory-mapped"):
        place = tmp_path / f"catalogue of {name} {len(seen)}"
        enrol(telling, records[:-2], place, Progress(), device="cpu", store=name)[0].close()
        said = []
        with Catalogue(place, "cpu") as catalogue:
            assert catalogue.info().store == name

            def answers(catalogue: Catalogue = catalogue, said: list[Any] = said, name: str = name) -> None:
                said.append(told(catalogue.search(queries(), k=2)))
                if name != "memory-mapped":
                    assert in_store(catalogue) == wanted(catalogue._storage.connection).tolist()

            answers()
            catalogue.add(records, Progress())
            answers()
            catalogue.remove(["Bob"])
            answers()
            catalogue.undo()
            answers()
            said.append(told(catalogue.search(queries(), where="site = 'North'", k=2)))
            said.append(told(catalogue.search(queries(), together=True)))
            said.append(told(catalogue.search(queries(), scoring="mean")))
            assert catalogue.re_embed(tmp_path / "other", Progress()) == len(records)
            answers()
            assert catalogue.info().store == name
        seen.append(said)
        stores = list((place / FOLDER).iterdir()) if (place / FOLDER).exists() else []
        assert len(stores) == (name != "memory-mapped"), "the store of the model before is gone"
    assert seen[0] == seen[1]


@pytest.mark.slow
def test_a_season_is_matched_in_the_store(catalogue: Catalogue, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(2)]
    for file, photo in zip(files, queries(), strict=True):
        Image.fromarray(photo).save(file)
    found = catalogue.match([Record(file.name, "", file) for file in files], k=2, progress=Progress())
    assert told([query.answer for query in found.queries]) == told(catalogue.search(queries(), k=2))


@pytest.mark.medium
def test_photos_that_a_store_has_lost_are_put_back_and_said(catalogue: Catalogue, other: str) -> None:
    before = told(catalogue.search(queries()))
    catalogue._storage.searched.opened().remove(np.array([2, 5], np.int64))
    catalogue.close()
    with Catalogue(catalogue.path, "cpu") as again:
        said = Told()
        again.require_search(SearchOptions(), said)
        assert said.warned == [f"store {other!r} lacked 2 photos of the catalogue; they were put back"]
        assert in_store(again) == list(range(1, 13))
        assert told(again.search(queries())) == before


@pytest.mark.medium
def test_rows_that_a_killed_change_has_left_are_passed_over_and_go_with_the_next_change(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(catalogue_store.CatalogueStore, "_remove_surplus", lambda self: None)
        catalogue.remove(["Bob"])
    assert in_store(catalogue) == list(range(1, 13))
    found = catalogue.search(queries(), k=3)
    assert {each.individual for answer in found for each in answer.candidates} == {"Ann", "Cy", "Di"}
    assert all(photo.individual != "Bob" for answer in found for photo in answer.photos)
    catalogue.rename("Ann", "Anna")
    assert in_store(catalogue) == wanted(catalogue._storage.connection).tolist() == [1, 2, 3, *range(7, 13)]


def test_a_change_that_the_store_refuses_is_not_made(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue.remove(["Bob"])
    before = catalogue.individuals()
    opened = catalogue._storage.searched.opened()

    def refuse(*given: object) -> None:
        raise OutputError("the server is full")

    with monkeypatch.context() as full:
        full.setattr(opened, "add", refuse)
        with pytest.raises(OutputError, match="the server is full"):
            catalogue.undo()
    assert catalogue.individuals() == before and len(catalogue.log()) == 2
    catalogue.undo()
    assert len(in_store(catalogue)) == 12


def test_a_store_with_the_rows_of_another_catalogue_is_refused(catalogue: Catalogue) -> None:
    opened = catalogue._storage.searched.opened()
    dimensions = catalogue.info().dimensions
    opened.remove(np.arange(1, 13))
    opened.add(np.arange(1, 13), np.eye(12, dimensions, dtype=np.float32) * 7)
    with pytest.raises(ArtifactError, match=r"has another embedding for photo .* siamesekit re-embed"):
        catalogue.search(queries())


@pytest.mark.medium
@pytest.mark.parametrize("fact", ["collection", "matrix"])
def test_a_name_that_leads_out_of_the_catalogue_is_refused(catalogue: Catalogue, fact: str, tmp_path: Path) -> None:
    catalogue._storage.connection.execute("UPDATE facts SET value = '../../mine' WHERE key = ?", (fact,))
    with pytest.raises(ArtifactError, match="the catalogue is altered"):
        catalogue.search(queries())
    assert not (tmp_path / "mine").exists()


def call(*arguments: object) -> Any:
    """A command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.medium
def test_the_command_line_remembers_the_store(other: str, telling: Path, photos: Path, tmp_path: Path) -> None:
    if other == "full-sort":
        pytest.skip("the plugin is registered for this process only")
    place = tmp_path / "c"
    elsewhere = ("--store-option", f"uri={tmp_path / 'db'}") if other == "lancedb" else ()
    made = call("enrol", telling, photos, "-o", place, "--device", "cpu", "--store", other, *elsewhere)
    assert made.exit_code == 0, made.output
    assert f"searched in store {other}" in call("info", place).stdout
    found = call("search", place, photos / "Bob", "--device", "cpu", "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["answers"][0]["candidates"][0]["individual"] == "Bob"
    if elsewhere:
        assert (tmp_path / "db").is_dir()
        assert f"uri = {tmp_path / 'db'}" in call("info", place).stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--store", "lancdb"), "unknown store 'lancdb' (did you mean 'lancedb'?)"),
        (("--store", "lancedb", "--store-option", "url=x"), "unknown option of store 'lancedb'"),
        (("--store", "lancedb", "--store-option", "exact"), "--store-option exact: must be key=value"),
        (("--store", "lancedb", "--store-option", "uri=db://mine"), "LanceDB's cloud"),
        (("--store", "lancedb", "--store-option", "uri=s3://me:pw@b/a"), "uri: s3://…@b/a has a user, a password or a"),
        (
            ("--store", "qdrant", "--store-option", "url=http://host?api-key=pw"),
            "url: http://host?… has a user, a",
        ),
        (("--store-option", "uri=here"), "unknown option of store 'memory-mapped'"),
    ],
)
def test_a_store_that_cannot_be_is_refused_before_anything_is_made(
    arguments: tuple[str, ...], says: str, telling: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("lancedb", monkeypatch)
    refused = call("enrol", telling, photos, "-o", tmp_path / "c", "--device", "cpu", *arguments)
    assert refused.exit_code == 2 and says in " ".join(refused.output.split())
    assert "pw" not in refused.output
    assert not (tmp_path / "c").exists()


@pytest.mark.medium
@pytest.mark.parametrize("answers", [False, True], ids=["no server", "a server that is silent"])
def test_a_server_that_does_not_answer_is_given_up(
    answers: bool, telling: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("qdrant", monkeypatch)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if answers:
            server.listen()
        choice = StoreChoice("qdrant", {"url": f"http://127.0.0.1:{server.getsockname()[1]}", "timeout": 1})
        start = time.monotonic()
        with pytest.raises(OutputError, match=r"store 'qdrant' at http://127\.0\.0\.1"):
            enrol(telling, records_of(photos), tmp_path / "c", Progress(), device="cpu", store=choice)
        assert time.monotonic() - start < 60
    assert not (tmp_path / "c").exists()
