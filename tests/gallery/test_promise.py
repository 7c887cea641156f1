"""The promise that few photos of new individuals are called known: its limit, its verdicts, and its refusals."""

from __future__ import annotations

import csv
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from conftest import draw_photo, write_photos
from siamesekit.cli.app import app
from siamesekit.components.distances.distance import pairwise
from siamesekit.data.records import Record
from siamesekit.errors import UserError
from siamesekit.gallery.catalogue import Catalogue, enrol
from siamesekit.gallery.identification import Identification, individuals_needed
from siamesekit.gallery.identifying import FittedIdentification
from siamesekit.gallery.match_folder import PAGE, TABLE
from siamesekit.gallery.promise import promise
from siamesekit.gallery.search_options import SearchOptions
from siamesekit.progress import Progress
from siamesekit.registry import READERS

KNOWN, NEW, PHOTOS = 30, 150, 3
SHARE = 0.1


@pytest.fixture(scope="module")
def place(telling: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of individuals that did not train the network; not to be changed."""
    folder = tmp_path_factory.mktemp("promise")
    photos = write_photos(folder / "photos", [f"animal-{number:02}" for number in range(KNOWN)], PHOTOS)
    records: list[Record] = READERS.build("folder", {"root": str(photos)}, seed=0)
    enrol(telling, records, folder / "catalogue", Progress(), device="cpu")[0].close()
    return folder / "catalogue"


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of each known individual, and of three new ones."""
    folder = tmp_path_factory.mktemp("season")
    for individual in (*range(KNOWN), 900, 901, 902):
        Image.fromarray(draw_photo(individual, 60)).save(folder / f"{individual:03}.png")
    return folder


def call(*arguments: object) -> Any:
    """A command in this process."""
    return CliRunner().invoke(app, [*map(str, arguments), "--device", "cpu"])


def first_broken(chances: list[list[float]], share: float) -> float:
    """The smallest P(new) at which more than this share of new individuals is called known, counted one by one.

    A further individual is one of `len(chances) + 1`, and the share of its own photos may be all of them.
    """
    for limit in sorted({chance for photos in chances for chance in photos}):
        called = [sum(chance <= limit for chance in photos) / len(photos) for photos in chances]
        if (1 + sum(called)) / (len(chances) + 1) > share + 1e-9:
            return limit
    raise AssertionError("it is never broken")


@pytest.mark.medium
def test_verdicts_are_those_of_a_count_of_the_catalogues_own_photos(place: Path) -> None:
    with Catalogue(place, "cpu") as catalogue:
        model = catalogue.identification().model
        assert model is not None and model.individuals == KNOWN
        gallery, _ = catalogue.require_search(SearchOptions(false_known=SHARE))
        owner = gallery.individuals
        table = pairwise(catalogue.model.distance, gallery.embeddings, gallery.embeddings).double().numpy()
        chances: list[list[float]] = [[] for _ in range(KNOWN)]
        for photo, individual in enumerate(owner):
            others = [other for other in range(KNOWN) if other != individual]
            far = [table[photo, owner == other].min() for other in others]
            _, new = model.probabilities(np.sort(far)[None], KNOWN - 1)
            chances[individual].append(float(new[0]))
        limit = first_broken(chances, SHARE)
        photos = [draw_photo(individual, 60) for individual in [*range(KNOWN), *range(1000, 1000 + NEW)]]
        answers = catalogue.search(photos, k=1, false_known=SHARE)
        assert all(answer.verdict is None for answer in catalogue.search(photos[:3]))
    told = [answer.verdict == "known" for answer in answers]
    clear = [answer.new is not None and abs(answer.new - limit) > 1e-4 for answer in answers]
    assert sum(clear) > len(answers) - 10
    for answer, known, sure in zip(answers, told, clear, strict=True):
        assert known == (answer.new is not None and answer.new < limit) or not sure
    assert sum(told[:KNOWN]) > 0, "no known individual is called known"
    error = 3 * np.sqrt(SHARE * (1 - SHARE) * (1 / NEW + 1 / KNOWN))
    assert sum(told[KNOWN:]) / NEW <= SHARE + error


@pytest.mark.parametrize("share", [0.5, 0.34, 0.1, 0.07, 0.05, 0.01, 0.003])
def test_the_individuals_needed_are_the_fewest_with_a_limit(share: float) -> None:
    fewest = next(n for n in range(1, 1000) if Fraction(1, n + 1) <= Fraction(str(share)))
    assert individuals_needed(share) == fewest
    for count in (fewest - 1, fewest):
        model = Identification(1.0, 1.0, 0.0, 1.0, count, 9, {9: tuple((0.5,) for _ in range(count))})
        assert (model.limit(share) is None) == (count < fewest) if count else True


def fitted(individuals: int, trained: bool = False, untrained: int = 0) -> FittedIdentification:
    model = Identification(1.0, 1.0, 0.0, 1.0, individuals, 9, {9: tuple((0.5,) for _ in range(individuals))})
    return FittedIdentification(model, "fitted to them", trained, untrained=untrained)


def test_a_promise_that_cannot_be_kept_is_refused_with_what_it_takes() -> None:
    with pytest.raises(UserError, match=r"--false-known 0\.05 .*: 19 individuals .* and 18 are there .*; 0\.0527"):
        promise(fitted(18), 0.05, 9)
    assert promise(fitted(18), 0.0527, 9).false_known == 0.0527
    assert promise(fitted(19), 0.05, 9).limit < 0.5
    with pytest.raises(UserError, match=r"only 4 of the catalogue did not train it; 19 are needed"):
        promise(fitted(40, trained=True, untrained=4), 0.05, 9)
    with pytest.raises(UserError, match=r"only 4 .*; 10 are needed"):
        promise(fitted(40, trained=True, untrained=4), 0.5, 9)
    with pytest.raises(UserError, match="no probabilities: too few"):
        promise(FittedIdentification(None, "no probabilities: too few", False), 0.05, 9)


@pytest.mark.slow
def test_a_search_says_known_or_maybe_new_in_json_table_and_terminal(place: Path, season: Path, tmp_path: Path) -> None:
    table = tmp_path / "answers.csv"
    command = ["search", place, season, "-k", 2, "--false-known", SHARE]
    done = call(*command, "--csv", table, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["note"].endswith('of the photos of new individuals, at most 10 % are called "known"')
    verdicts = {answer["query"]: answer["verdict"] for answer in told["answers"]}
    assert set(verdicts.values()) == {"known", "maybe new"}
    news = {answer["query"]: answer["new"] for answer in told["answers"]}
    known = [news[query] for query, verdict in verdicts.items() if verdict == "known"]
    assert max(known) < min(news[query] for query, verdict in verdicts.items() if verdict == "maybe new")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (KNOWN + 3) and {row["query"]: row["verdict"] for row in rows} == verdicts
    shown = call(*command)
    assert shown.stdout.count(": known") == len(known) and shown.stdout.count(": maybe new") == KNOWN + 3 - len(known)
    assert "at most 10 % are called" in " ".join(shown.stdout.split())
    plain = json.loads(call("search", place, season, "--json").stdout)
    assert {answer["verdict"] for answer in plain["answers"]} == {None} and "called" not in plain["note"]


@pytest.mark.slow
def test_a_match_has_the_verdicts_in_its_table_and_on_its_page(place: Path, season: Path, tmp_path: Path) -> None:
    folder = tmp_path / "match"
    done = call("match", place, season, "-o", folder, "--false-known", SHARE, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["known"] + told["maybe_new"] == told["queries"] == KNOWN + 3
    assert told["known"] > 0 and told["maybe_new"] > 0
    with (folder / TABLE).open(newline="") as file:
        verdicts = {row["query"]: row["verdict"] for row in csv.DictReader(file)}
    page = (folder / PAGE).read_text("utf-8")
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert {query["name"]: query["verdict"] for query in data["queries"]} == verdicts
    assert list(verdicts.values()).count("known") == told["known"]
    assert "at most 10 % are called &quot;known&quot;." in page
    said = call("match", place, season, "-o", folder, "--false-known", SHARE)
    assert f"{told['known']} called known, {told['maybe_new']} called maybe new\n" in said.stdout


@pytest.mark.medium
def test_too_few_individuals_are_refused_before_any_photo_is_embedded(
    place: Path, season: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")  # would be an error if it were read
    for command in (["search", place, tmp_path / "bad.jpg"], ["match", place, season, "-o", tmp_path / "m"]):
        refused = call(*command, "--false-known", "0.01")
        assert (refused.exit_code, refused.stdout) == (2, "")
        said = " ".join(refused.stderr.split())
        assert "99 individuals that did not train the network are needed to measure it, and 30 are there" in said
        assert "0.0323 can be promised" in said
        assert call(*command, "--false-known", "5").exit_code == 2
    assert not (tmp_path / "m").exists()


def series(folder: Path, individual: int) -> list[Record]:
    """Three photos in a row of one individual: they differ by a little noise."""
    rng, records = np.random.default_rng(individual), []
    folder.mkdir(exist_ok=True)
    for number in range(3):
        file = folder / f"{individual:02}-{number}.png"
        pixels = draw_photo(individual, 0) + rng.normal(0, 8, (40, 40, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file)
        records.append(Record(file.name, f"animal-{individual:02}", file, attributes={"day": str(individual)}))
    return records


def test_the_photos_of_an_encounter_are_called_together(telling: Path, tmp_path: Path) -> None:
    records = [series(tmp_path / "photos", individual) for individual in (*range(12), 30)]
    enrolled = [record for row in records[1:12] for record in row]
    catalogue, _ = enrol(telling, [*records[0][:1], *enrolled], tmp_path / "c", Progress(), device="cpu")
    with catalogue:
        found = catalogue.match([*records[0][1:], *records[12][:2]], encounter="day", false_known=SHARE)
        assert [(query.answer.verdict, len(query.photos)) for query in found.queries] == [
            ("known", 2), ("maybe new", 2),
        ]  # fmt: skip
        assert (found.called("known"), found.called("maybe new")) == (1, 1)


def test_an_encounter_is_not_called_if_so_many_photos_tell_nothing(place: Path, season: Path) -> None:
    """Of three photos, one is left to be found by the other two, and that shows nothing here."""
    records = [Record(file.name, "", file, attributes={"day": "1"}) for file in sorted(season.iterdir())[:2]]
    with (
        Catalogue(place, "cpu") as catalogue,
        pytest.raises(UserError, match='cannot be promised for "known": no probabilities: photos of one individual'),
    ):
        catalogue.match(records, encounter="day", false_known=SHARE)
