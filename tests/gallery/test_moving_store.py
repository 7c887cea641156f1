"""A catalogue moves to another store: its answers stay, and a move that is cut off leaves the old or the new store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from conftest import draw_photo, write_photos
from made_stores import NAMES, require
from siamesekit.cli.app import app
from siamesekit.data.records import Record
from siamesekit.errors import ComponentError, OutputError, UserError
from siamesekit.gallery.catalogue import Catalogue, enrol
from siamesekit.gallery.catalogue_store import FOLDER, CatalogueStore, wanted
from siamesekit.gallery.store_choice import OWN
from siamesekit.progress import Progress
from siamesekit.registry import READERS


class Killed(BaseException):
    """Stands for the end of the process: nothing is tidied up."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn photos of four individuals."""
    return write_photos(tmp_path_factory.mktemp("photos"), ["Ann", "Bob", "Cy", "Di"], 3)


@pytest.fixture(params=[name for name in NAMES if name != OWN])
def other(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a store that holds a copy of the embeddings."""
    require(request.param, monkeypatch)
    return str(request.param)


@pytest.fixture
def catalogue(telling: Path, photos: Path, tmp_path: Path) -> Iterator[Catalogue]:
    """A catalogue with the default store, one individual of which has been removed again."""
    records: list[Record] = READERS.build("folder", {"root": str(photos)}, seed=0)
    made, _ = enrol(telling, records, tmp_path / "c", Progress(), device="cpu")
    made.remove(["Di"])
    yield made
    made.close()


def answers(catalogue: Catalogue) -> list[Any]:
    """What searches of all kinds say, but for the last digits of distances."""
    queries = [draw_photo(0, 9), draw_photo(2, 8)]
    kinds: list[dict[str, Any]] = [{}, {"where": "individual != 'Bob'"}, {"together": True}, {"scoring": "mean"}]
    found = [answer for options in kinds for answer in catalogue.search(queries, **options)]
    return [
        [(each.individual, each.best.name, round(each.distance, 4)) for each in answer.candidates]
        + [(photo.name, round(photo.distance, 4)) for photo in answer.photos]
        for answer in found
    ]


def collections(catalogue: Catalogue) -> list[str]:
    """Folders of collections that are there."""
    folder = catalogue.path / FOLDER
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


@pytest.mark.slow
def test_answers_are_the_same_before_and_after_and_back_again(
    catalogue: Catalogue, other: str, request: pytest.FixtureRequest
) -> None:
    before = answers(catalogue)
    assert catalogue.move_store(other) == 9 and catalogue.info().store == other
    assert answers(catalogue) == before
    ids = catalogue._storage.searched.opened().ids().tolist()
    assert ids == wanted(catalogue._storage.connection).tolist() == list(range(1, 10))
    catalogue.close()
    catalogue = Catalogue(catalogue.path, "cpu")
    request.addfinalizer(catalogue.close)
    assert answers(catalogue) == before
    catalogue.undo()  # of what was changed before the move: the photos come into the new store
    assert len(catalogue._storage.searched.opened().ids()) == 12
    catalogue.remove(["Di"])
    assert collections(catalogue) == [catalogue._storage.searched.collection]
    assert catalogue.move_store(OWN) == 9 and answers(catalogue) == before
    assert collections(catalogue) == []
    assert [change.command for change in catalogue.log()][::-1] == [
        "add", "remove", "move-store", "undo", "remove", "move-store",
    ]  # fmt: skip
    assert catalogue.log(1)[0].summary == f"9 photos, from {other} to {OWN}"


def test_a_catalogue_moves_between_two_stores_that_hold_copies(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("lancedb", "qdrant"):
        require(name, monkeypatch)
    before = answers(catalogue)
    for name in ("lancedb", "qdrant"):
        catalogue.move_store(name)
        assert answers(catalogue) == before and collections(catalogue) == [catalogue._storage.searched.collection]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["while rows are copied", "before the commit", "before the former store is removed"])
def test_a_move_that_is_cut_off_leaves_one_of_the_two_stores(
    catalogue: Catalogue, other: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answers(catalogue)
    catalogue.move_store(other)
    target, former = (OWN, other) if moment != "while rows are copied" else (other, OWN)
    if former == OWN:
        catalogue.move_store(OWN)
    with monkeypatch.context() as killed:

        def die(*given: object) -> None:
            raise Killed

        killed.setattr(CatalogueStore, "drop", die)
        if moment == "while rows are copied":
            copy = CatalogueStore.add_missing

            def half(self: CatalogueStore) -> int:
                copy(self)
                self.opened().remove(np.arange(1, 5))
                raise Killed

            killed.setattr(CatalogueStore, "add_missing", half)
        elif moment == "before the commit":
            killed.setattr(CatalogueStore, "add_missing", die)
        with pytest.raises(Killed):
            catalogue.move_store(target)
    catalogue.close()
    with Catalogue(catalogue.path, "cpu") as again:
        cut_off = moment != "before the former store is removed"
        assert again.info().store == (former if cut_off else target)
        assert answers(again) == before
        if cut_off:
            again.move_store(target)
        assert again.info().store == target and answers(again) == before


@pytest.mark.medium
def test_a_store_that_refuses_leaves_the_former_one_and_nothing_behind(
    catalogue: Catalogue, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, changes = answers(catalogue), len(catalogue.log())

    def full(self: CatalogueStore) -> int:
        self.opened().add(np.arange(1, 3), np.zeros((2, catalogue.info().dimensions), np.float32))
        raise OutputError("the server is full")

    with monkeypatch.context() as patch:
        patch.setattr(CatalogueStore, "add_missing", full)
        with pytest.raises(OutputError, match="the server is full"):
            catalogue.move_store(other)
    assert catalogue.info().store == OWN and len(catalogue.log()) == changes
    assert answers(catalogue) == before and collections(catalogue) == []


@pytest.mark.medium
def test_a_catalogue_from_before_there_were_stores_can_move(catalogue: Catalogue, other: str) -> None:
    before = answers(catalogue)
    catalogue._storage.connection.execute("DELETE FROM facts WHERE key IN ('store', 'collection')")
    catalogue.move_store(other)
    assert catalogue.info().store == other and answers(catalogue) == before


def test_the_same_store_and_one_that_is_unknown_are_refused(catalogue: Catalogue) -> None:
    with pytest.raises(UserError, match="is searched in store memory-mapped already"):
        catalogue.move_store(OWN)
    with pytest.raises(ComponentError, match="unknown store 'lancdb'"):
        catalogue.move_store("lancdb")
    assert [change.command for change in catalogue.log()] == ["remove", "add"]


@pytest.mark.medium
def test_the_command_moves_a_catalogue(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    require("lancedb", monkeypatch)

    def call(*arguments: object) -> Any:
        return CliRunner().invoke(app, ["move-store", str(catalogue.path), *map(str, arguments)])

    refused = call("--store", "lancedb", "--store-option", "uri")
    assert refused.exit_code == 2 and "must be key=value" in refused.stderr
    assert call("--store", "lancdb").exit_code == 2 and call().exit_code == 2
    elsewhere = ("--store-option", f"uri={tmp_path / 'db'}")
    done = call("--store", "lancedb", *elsewhere, "--author", "Zoe", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"9 photos are searched in store lancedb (uri = {tmp_path / 'db'}) now\n"
    assert catalogue.log(1)[0].author == "Zoe"
    told = call("--store", OWN, "--json", "--device", "cpu")
    assert json.loads(told.stdout) == {"store": OWN, "photos": 9}
