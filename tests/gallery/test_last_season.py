"""A review without photos goes on with those that were matched last."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from conftest import draw_photo, write_photos
from siamesekit.cli.app import app
from siamesekit.data.records import Record
from siamesekit.errors import ArtifactError
from siamesekit.gallery import review_server
from siamesekit.gallery.catalogue import Catalogue, enrol
from siamesekit.gallery.last_season import LAST_SEASON, LastSeason, recall, remember
from siamesekit.gallery.reviewing import Review
from siamesekit.progress import Progress
from siamesekit.registry import READERS


@pytest.fixture(scope="module")
def enrolled(telling: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of three individuals; not to be written to."""
    folder = tmp_path_factory.mktemp("last")
    records: list[Record] = READERS.build(
        "folder", {"root": str(write_photos(folder / "photos", ["Ann", "Bob", "Cy"]))}, seed=0
    )
    enrol(telling, records, folder / "catalogue", Progress())[0].close()
    return folder / "catalogue"


@pytest.fixture
def place(enrolled: Path, tmp_path: Path) -> Path:
    """A copy of the catalogue, to be written to."""
    return Path(shutil.copytree(enrolled, tmp_path / "catalogue"))


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A table of four new photos in two encounters."""
    (tmp_path / "new").mkdir()
    for number in range(4):
        Image.fromarray(draw_photo(number, 90)).save(tmp_path / "new" / f"{number}.png")
    rows = "".join(f"new/{number}.png,{number // 2}\n" for number in range(4))
    (tmp_path / "new.csv").write_text("photo,encounter\n" + rows)
    return tmp_path / "new.csv"


@pytest.fixture
def reviewed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The names of the queries of each review that would be served."""
    told: list[list[str]] = []

    def serve(catalogue: Catalogue, found: Any, *_: Any) -> None:
        told.append([query.name for query in found.queries])

    monkeypatch.setattr(review_server, "require_server", lambda: None)
    monkeypatch.setattr(review_server, "review_season", serve)
    return told


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.slow
def test_it_leaves_out_what_is_decided(
    place: Path, new: Path, tmp_path: Path, reviewed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    matched = call("match", place, "new.csv", "-o", tmp_path / "m", "--encounter", "encounter", "--device", "cpu")
    assert matched.exit_code == 0, matched.output
    monkeypatch.chdir("/")
    done = call("review", place, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert f"photos that were matched last: {new}" in done.stdout.replace("\n", "")
    assert reviewed == [["0", "1"]]
    with Catalogue(place) as catalogue:
        queries = catalogue.match(READERS.build("csv", {"file": str(new), "individual": ""}, seed=0)).queries
    review = Review(place, queries, "Yan", "cpu")
    review.put(0, "same", "Ann", [], None)
    review.put(1, "unsure", "", [], None)
    review.close()
    assert call("review", place, "--device", "cpu", "--encounter", "encounter").exit_code == 0
    assert reviewed[-1] == ["0", "1"], "photo 1 of the first encounter is open still"
    review = Review(place, queries, "Yan", "cpu")
    review.put(1, "bad", "", [], None)
    review.close()
    assert call("review", place, "--device", "cpu").exit_code == 0
    assert reviewed[-1] == ["1"]


@pytest.mark.medium
def test_a_review_of_named_photos_is_remembered_too(place: Path, new: Path, reviewed: list[list[str]]) -> None:
    named = call("review", place, new, "--device", "cpu")
    assert named.exit_code == 0, named.output
    assert call("review", place, "--device", "cpu").exit_code == 0
    assert reviewed == [[f"new/{number}.png" for number in range(4)]] * 2


def test_what_is_not_there_is_said(place: Path, new: Path, tmp_path: Path, reviewed: list[list[str]]) -> None:
    none = call("review", place)
    assert none.exit_code == 2
    assert f"name them, siamesekit review {place} INPUT" in none.stderr.replace("\n", " ")
    assert call("review", tmp_path / "nowhere").exit_code == 2
    assert "there is no catalogue" in call("review", tmp_path / "nowhere").stderr
    assert call("review", place, new, "--device", "cpu").exit_code == 0
    options = call("review", place, "--set", "data.pattern=x")
    assert options.exit_code == 2 and "belong to an INPUT" in options.stderr
    new.unlink()
    gone = call("review", place)
    assert gone.exit_code == 2 and "are gone" in gone.stderr
    assert len(reviewed) == 1


def test_a_damaged_memory_is_refused(place: Path) -> None:
    season = LastSeason("/photos", "csv", ("data.root=x",), "encounter")
    assert remember(place, season) is None
    assert recall(place) == season
    for text in ("", "[]", "{}", '{"photos": 1, "reader": null, "options": [], "encounter": null}',
                 json.dumps({"photos": "a", "reader": None, "options": [1], "encounter": None}),
                 json.dumps({"photos": "a", "reader": None, "options": [], "encounter": None, "x": 1})):  # fmt: skip
        (place / LAST_SEASON).write_text(text)
        with pytest.raises(ArtifactError, match="last_season"):
            recall(place)
