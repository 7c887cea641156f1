"""A catalogue from enrolment to undo, against what was enrolled."""

from __future__ import annotations

import json
import shutil
import sqlite3
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import write_photos
from siamesekit.artifact.loading import load
from siamesekit.data.records import Box, Record
from siamesekit.errors import ArtifactError, DataError, OutputError, UserError
from siamesekit.files.writer_lock import writer
from siamesekit.gallery.catalogue import Catalogue, enrol
from siamesekit.gallery.identifying import trained_individuals
from siamesekit.gallery.storage import DATABASE, LOCK
from siamesekit.progress import Progress
from siamesekit.registry import READERS

NAMES = ["Ann", "Bob", "Cy"]
SITES = {"Ann": "North", "Bob": "South", "Cy": "North"}


def records_of(folder: Path) -> list[Record]:
    """The photos of a folder of individuals, with a site each."""
    read: list[Record] = READERS.build("folder", {"root": str(folder)}, seed=0)
    return [Record(r.name, r.individual, r.source, attributes={"site": SITES.get(r.individual, "")}) for r in read]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn photos of three individuals."""
    return write_photos(tmp_path_factory.mktemp("photos"), NAMES)


@pytest.fixture(scope="module")
def enrolled(telling: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of three individuals; not to be written to."""
    place = tmp_path_factory.mktemp("catalogues") / "own"
    catalogue, _ = enrol(telling, records_of(photos), place, Progress(), author="Zoe")
    catalogue.close()
    return place


@pytest.fixture
def place(enrolled: Path, tmp_path: Path) -> Path:
    """A copy of the catalogue, to be written to."""
    return Path(shutil.copytree(enrolled, tmp_path / "catalogue"))


def owners(catalogue: Catalogue) -> dict[str, str]:
    """Individual of each photo, by the photo's name, read past the library."""
    connection = sqlite3.connect(catalogue.path / DATABASE)
    rows = connection.execute(
        "SELECT p.name, i.name FROM photos p JOIN individuals i ON i.id = p.individual ORDER BY p.name"
    ).fetchall()
    connection.close()
    return dict(rows)


def test_what_is_enrolled_is_there(enrolled: Path, photos: Path) -> None:
    records = records_of(photos)
    with Catalogue(enrolled) as catalogue:
        assert owners(catalogue) == {record.name: record.individual for record in records}
        info = catalogue.info()
        assert (info.individuals, info.photos, info.kept, info.changes) == (3, len(records), 0, 1)
        assert info.columns == ("site",)
        assert catalogue.individuals() == dict.fromkeys(NAMES, len(records) // 3)
        (change,) = catalogue.log()
        assert (change.command, change.author) == ("add", "Zoe")
        assert change.summary == f"{len(records)} photos, 3 new individuals"
        thumbnail = enrolled / "t.jpg"
        thumbnail.write_bytes(catalogue.photo(1).thumbnail)
        assert max(Image.open(thumbnail).size) <= 320
        thumbnail.unlink()


def test_the_stored_embeddings_are_those_of_the_model(enrolled: Path, telling: Path, photos: Path) -> None:
    records = records_of(photos)
    expected = load(telling).embed_files([Path(str(record.source)) for record in records], Progress()).numpy()
    (file,) = (enrolled / "embeddings").iterdir()
    np.testing.assert_array_equal(np.fromfile(file, "<f4").reshape(expected.shape), expected)


def test_an_enrolled_photo_finds_itself_and_the_answer_agrees_with_compare(enrolled: Path, photos: Path) -> None:
    records = records_of(photos)
    with Catalogue(enrolled) as catalogue:
        paths = [Path(str(record.source)) for record in records]
        for record, answer in zip(records, catalogue.search(paths), strict=True):
            assert answer.candidates[0].individual == record.individual
            assert answer.photos[0].name == record.name and answer.photos[0].distance < 1e-3
            second = answer.photos[1]
            other = next(path for path, each in zip(paths, records, strict=True) if each.name == second.name)
            compared = catalogue.model.compare(Path(str(record.source)), other)
            assert second.distance == pytest.approx(compared.distance, abs=1e-4)
            assert second.similarity == pytest.approx(compared.similarity, abs=1e-4)


def test_a_condition_limits_what_is_searched(enrolled: Path, photos: Path) -> None:
    photo = photos / "Bob"
    query = sorted(photo.iterdir())[0]
    with Catalogue(enrolled) as catalogue:
        (answer,) = catalogue.search(query, where="site = 'North'")
        assert {candidate.individual for candidate in answer.candidates} == {"Ann", "Cy"}
        assert {match.individual for match in answer.photos} == {"Ann", "Cy"}
        (answer,) = (
            catalogue.search(query, where="individual in ('Bob') and photo = 'Bob/0.png'")
            if ("Bob/0.png" in owners(catalogue))
            else catalogue.search(query, where="individual = 'Bob'")
        )
        assert [candidate.individual for candidate in answer.candidates] == ["Bob"]
        with pytest.raises(UserError, match="no photo of the catalogue meets"):
            catalogue.search(query, where="site = 'West'")
        with pytest.raises(UserError, match=r"no column 'sit' \(did you mean 'site'\?\)"):
            catalogue.search(query, where="sit = 'West'")
        with pytest.raises(UserError, match="k = 3, but 2 individuals are searched"):
            catalogue.search(query, 3, "site = 'North'")


def test_photos_of_one_encounter_give_one_answer(enrolled: Path, photos: Path) -> None:
    files = sorted((photos / "Cy").iterdir())[:3]
    with Catalogue(enrolled) as catalogue:
        (answer,) = catalogue.search(files, together=True)
        each = catalogue.search(files)
        assert answer.candidates[0].individual == "Cy" and answer.query == ", ".join(map(str, files))
        mean = np.mean([next(c.distance for c in one.candidates if c.individual == "Ann") for one in each])
        found = next(candidate for candidate in answer.candidates if candidate.individual == "Ann")
        assert found.distance == pytest.approx(float(mean), rel=1e-5)


@pytest.mark.medium
def test_with_enough_individuals_candidates_and_new_have_probabilities(telling: Path, tmp_path: Path) -> None:
    people = [f"p{number:02}" for number in range(14)]
    folder = write_photos(tmp_path / "photos", people)
    catalogue, _ = enrol(telling, records_of(folder), tmp_path / "c", Progress())
    with catalogue:
        found = catalogue.identification()
        assert found.model is not None and (found.model.individuals, found.model.largest) == (14, 13)
        assert not found.trained and found.note.endswith("of 14 individuals, which did not train the network")
        files = [sorted((folder / name).iterdir())[0] for name in people]
        answers = catalogue.search(files, 14)
        for answer in answers:
            chances = [candidate.probability for candidate in answer.candidates]
            assert answer.new is not None and all(chance is not None for chance in chances)
            assert sum(chances) + answer.new == pytest.approx(1)  # type: ignore[arg-type]
            assert chances == sorted(chances, reverse=True)  # type: ignore[type-var]
        for short, whole in zip(catalogue.search(files, 2), answers, strict=True):  # k changes nothing
            assert short.new == pytest.approx(whole.new) and len(short.candidates) == 2
        strange = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
        (known,), (unknown,) = catalogue.search(files[0]), catalogue.search(strange)
        assert known.new is not None and unknown.new is not None and unknown.new > known.new
        for scoring in ("nearest", "mean"):
            (together,) = catalogue.search(files[:2], 14, scoring=scoring, together=True)  # type: ignore[arg-type]
            chances = [candidate.probability for candidate in together.candidates]
            assert together.new is not None and sum(chances) + together.new == pytest.approx(1)  # type: ignore[arg-type]
        assert catalogue.identification("mean", 2).note.startswith(
            "probabilities are fitted to 2 photos at a time of 14"
        )
        (blurred,) = catalogue.search(files[:2], 14, scoring=2, together=True)  # these two means tell nobody apart
        assert blurred.new is None and all(candidate.probability is None for candidate in blurred.candidates)
        assert catalogue.identification(2, 2).note.startswith("no probabilities: photos of one individual are not ne")
        catalogue.remove(people[:8])
        assert catalogue.identification().model is None
        assert "has 6 individuals, and 10 are needed" in catalogue.identification().note


def test_individuals_that_trained_the_network_are_told_apart_also_when_renamed(telling: Path, tmp_path: Path) -> None:
    parts = json.loads((telling / "split.json").read_text())["parts"]
    assert trained_individuals(telling) == trained_individuals(telling / "model") == sorted(parts["train"])
    people = [*sorted(parts["train"])[:2], *(f"p{number:02}" for number in range(11))]
    catalogue, _ = enrol(telling, records_of(write_photos(tmp_path / "photos", people)), tmp_path / "c", Progress())
    with catalogue:
        catalogue.rename(people[0], "renamed")
        found = catalogue.identification()
        assert found.model is not None and found.model.individuals == 11 and not found.trained
        catalogue.remove(["p00", "p01"])
        found = catalogue.identification()
        assert found.model is not None and found.model.individuals == 11 and found.trained
        assert "some of which trained the network" in found.note


CHANGES: dict[str, Callable[[Catalogue], object]] = {
    "remove an individual": lambda catalogue: catalogue.remove(["Bob"]),
    "remove a photo": lambda catalogue: catalogue.remove([next(iter(owners(catalogue)))]),
    "rename": lambda catalogue: catalogue.rename("Bob", "Robert"),
    "merge": lambda catalogue: catalogue.merge("Ann", "Bob"),
    "split": lambda catalogue: catalogue.split("Dee", list(owners(catalogue))[:2]),
    "split to a known one": lambda catalogue: catalogue.split("Bob", list(owners(catalogue))[:2]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_undone_whole(place: Path, name: str) -> None:
    with Catalogue(place, author="Zoe") as catalogue:
        before = owners(catalogue)
        CHANGES[name](catalogue)
        assert owners(catalogue) != before
        undone = catalogue.undo()
        assert owners(catalogue) == before
        assert undone.command == name.split()[0]
        newest, changed, _ = catalogue.log()
        assert (newest.command, newest.undoes, changed.undone) == ("undo", changed.id, True)
        assert catalogue.undo().command == "add" and owners(catalogue) == {}
        with pytest.raises(UserError, match="nothing to undo"):
            catalogue.undo()


@pytest.mark.medium
def test_many_changes_are_undone_one_by_one_back_to_each_earlier_state(place: Path) -> None:
    random = np.random.default_rng(3)
    with Catalogue(place) as catalogue:
        states = [owners(catalogue)]
        for step in range(40):
            state, people = states[-1], sorted(set(states[-1].values()))
            kind = random.integers(4)
            if kind == 0 and len(people) > 1:
                catalogue.merge(*random.choice(people, 2, replace=False).tolist())
            elif kind == 1:
                catalogue.rename(str(random.choice(people)), f"name {step % 5} {random.integers(3)}") if (
                    f"name {step % 5}" not in " ".join(people)
                ) else catalogue.rename(people[0], f"other {step}")
            elif kind == 2 and len(state) > 4:
                catalogue.remove([str(random.choice(list(state)))])
            else:
                catalogue.split(f"new {step}", random.choice(list(state), 2, replace=False).tolist())
            states.append(owners(catalogue))
        while len(states) > 1:
            assert owners(catalogue) == states.pop()
            catalogue.undo()
        assert owners(catalogue) == states[0]


def test_a_merged_individual_s_name_can_be_given_to_the_one_that_was_kept(place: Path) -> None:
    with Catalogue(place) as catalogue:
        before = owners(catalogue)
        catalogue.merge("Ann", "Bob")
        catalogue.rename("Ann", "Bob")
        assert set(owners(catalogue).values()) == {"Bob", "Cy"}
        catalogue.undo()
        catalogue.undo()
        assert owners(catalogue) == before


def test_a_photo_is_added_once_and_a_removed_one_comes_back_without_embedding(
    place: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = records_of(photos)
    with Catalogue(place) as catalogue:
        added = catalogue.add([*records, records[0]], Progress())
        assert (added.photos, added.enrolled, added.copies) == (0, len(records), 1)
        assert len(catalogue.log()) == 1
        catalogue.remove(["Cy"])
        monkeypatch.setattr(type(catalogue.model), "embed_records", None)
        added = catalogue.add(records, Progress())
        assert (added.photos, added.individuals) == (len(records) // 3, 1)
        assert owners(catalogue) == {record.name: record.individual for record in records}


def test_a_photo_under_two_individuals_is_refused_and_nothing_changes(place: Path, photos: Path) -> None:
    records = records_of(photos)
    with Catalogue(place) as catalogue:
        before = owners(catalogue)
        with pytest.raises(DataError, match=r"(?s)1 photos have two individuals.*Bob here, is enrolled as Ann"):
            catalogue.add([Record("x.png", "Bob", records[0].source)], Progress())
        fresh = photos.parent / "fresh.png"
        Image.effect_noise((40, 40), 90).convert("RGB").save(fresh)
        with pytest.raises(DataError, match=r"(?s)Bob here, occurs also as Ann"):
            catalogue.add([Record("x.png", "Ann", fresh), Record("y.png", "Bob", fresh)], Progress())
        assert owners(catalogue) == before and len(catalogue.log()) == 1


def test_two_boxes_of_one_photo_are_two_photos(place: Path, photos: Path) -> None:
    source = records_of(photos)[0].source
    boxes = [Record(f"p#{n}", name, source, box=Box(0, 0, 20 + n, 20)) for n, name in enumerate(["Dee", "Eve"])]
    with Catalogue(place) as catalogue:
        assert catalogue.add(boxes, Progress()).photos == 2
        assert {"p#0": "Dee", "p#1": "Eve"}.items() <= owners(catalogue).items()


def test_photos_that_cannot_be_read_are_named_and_nothing_is_added_unless_asked(place: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.jpg"
    Image.effect_noise((40, 40), 80).convert("RGB").save(good)
    bad.write_bytes(b"no photo")
    records = [Record("good", "Dee", good), Record("bad", "Dee", bad), Record("gone", "Dee", tmp_path / "gone.png")]
    with Catalogue(place) as catalogue:
        before = owners(catalogue)
        with pytest.raises(
            DataError, match=r"(?s)2 of 3 photos cannot be used; nothing was added.*bad.*gone|gone.*bad"
        ):
            catalogue.add(records, Progress())
        assert owners(catalogue) == before
        added = catalogue.add(records, Progress(), skip_bad=True)
        assert added.photos == 1 and {finding.name for finding in added.unusable} == {"bad", "gone"}


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "=cmd()", 'O\'Hara "x"', "Robert'); DROP TABLE photos"])
def test_a_name_is_only_a_name(place: Path, name: str) -> None:
    with Catalogue(place) as catalogue:
        catalogue.rename("Bob", name)
        assert name in set(owners(catalogue).values())
        catalogue.merge("Ann", name)
        catalogue.undo()
        assert name in catalogue.individuals()


def test_two_spellings_of_one_name_are_one_individual(place: Path, photos: Path, tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "Zoé") for form in ("NFC", "NFD"))
    assert composed != apart
    for number in range(2):
        Image.effect_noise((40, 40), 70 + 9 * number).convert("RGB").save(tmp_path / f"{number}.png")
    with Catalogue(place) as catalogue:
        catalogue.add([Record("a", composed, tmp_path / "0.png"), Record("b", apart, tmp_path / "1.png")], Progress())
        assert catalogue.individuals()[composed] == 2


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\u202eb", "x" * 300, "\x1b[2J"])
def test_a_name_that_cannot_be_read_is_refused(place: Path, name: str) -> None:
    with Catalogue(place) as catalogue, pytest.raises(DataError, match="name"):
        catalogue.rename("Bob", name)


def test_unknown_names_are_refused_with_a_near_one(place: Path) -> None:
    with Catalogue(place) as catalogue:
        with pytest.raises(UserError, match=r"no individual 'Bobb' \(did you mean 'Bob'\?\)"):
            catalogue.rename("Bobb", "Robert")
        with pytest.raises(UserError, match="merged with itself"):
            catalogue.merge("Bob", "Bob")
        with pytest.raises(UserError, match="another individual is named Ann"):
            catalogue.rename("Bob", "Ann")
        with pytest.raises(UserError, match=r"no individual or photo 'nobody\.jpg'"):
            catalogue.remove(["Ann", "nobody.jpg"])
        with pytest.raises(UserError, match=r"no photo 'nobody\.jpg'"):
            catalogue.split("Dee", ["nobody.jpg"])
        assert len(catalogue.log()) == 1 and "Dee" not in catalogue.individuals()


def test_a_catalogue_in_use_names_its_holder(place: Path) -> None:
    with Catalogue(place) as catalogue, writer(place / LOCK, "it"):
        with pytest.raises(OutputError, match=r"is being changed by process \d+ of \S+ on \S+ since 20"):
            catalogue.rename("Bob", "Robert")
        assert catalogue.search(np.zeros((40, 40, 3), np.uint8))[0].candidates


def test_an_empty_catalogue_cannot_be_searched(place: Path) -> None:
    with Catalogue(place) as catalogue:
        catalogue.undo()
        with pytest.raises(UserError, match="the catalogue is empty"):
            catalogue.search(np.zeros((40, 40, 3), np.uint8))


def test_an_existing_catalogue_is_not_enrolled_again(place: Path, telling: Path, photos: Path) -> None:
    with pytest.raises(OutputError, match="is a catalogue already"):
        enrol(telling, records_of(photos), place, Progress())
    (place.parent / "other").mkdir()
    (place.parent / "other" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not a catalogue"):
        enrol(telling, records_of(photos), place.parent / "other", Progress())
    assert (place.parent / "other" / "notes.txt").read_text() == "mine"


def damaged_database(place: Path) -> None:
    content = bytearray((place / DATABASE).read_bytes())
    content[4096:9000] = b"\xa5" * (9000 - 4096)
    (place / DATABASE).write_bytes(content)


def short_database(place: Path) -> None:
    (place / DATABASE).write_bytes((place / DATABASE).read_bytes()[:3000])


def no_database(place: Path) -> None:
    (place / DATABASE).write_bytes(b"hello")


def gone_database(place: Path) -> None:
    (place / DATABASE).unlink()


def trigger(place: Path) -> None:
    connection = sqlite3.connect(place / DATABASE)
    connection.execute("CREATE TRIGGER evil AFTER UPDATE ON photos BEGIN DELETE FROM photos; END")
    connection.commit()
    connection.close()


def newer(place: Path) -> None:
    connection = sqlite3.connect(place / DATABASE)
    connection.execute("PRAGMA user_version = 9")
    connection.close()


def foreign(place: Path) -> None:
    connection = sqlite3.connect(place / DATABASE)
    connection.execute("PRAGMA application_id = 1")
    connection.close()


def altered_matrix(place: Path) -> None:
    (file,) = (place / "embeddings").iterdir()
    content = bytearray(file.read_bytes())
    content[100] ^= 255
    file.write_bytes(content)


def short_matrix(place: Path) -> None:
    (file,) = (place / "embeddings").iterdir()
    file.write_bytes(file.read_bytes()[:-1])


def altered_model(place: Path) -> None:
    (file,) = place.glob("models/*/model.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"note": "x"}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damaged_database, "damaged|cannot"),
        (short_database, "damaged"),
        (no_database, "damaged: it is no SQLite database"),
        (gone_database, "there is no catalogue in"),
        (trigger, "altered: it has other tables"),
        (newer, "has version 9"),
        (foreign, "not the database of a catalogue"),
        (altered_matrix, "damaged in rows 0 to"),
        (short_matrix, "truncated"),
        (altered_model, "not the catalogue's model"),
    ],
)
def test_an_altered_catalogue_is_an_error_in_words(place: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(place)
    with pytest.raises((ArtifactError, OutputError), match=message), Catalogue(place) as catalogue:
        catalogue.search(np.zeros((40, 40, 3), np.uint8))


def test_re_embedding_keeps_every_decision_and_changes_the_model(place: Path, telling: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(telling, tmp_path / "other"))
    file = other / "model" / "model.json"
    description = json.loads(file.read_text())
    description["operating_point"]["threshold"] = 0.5
    file.write_text(json.dumps(description))
    with Catalogue(place) as catalogue:
        catalogue.merge("Ann", "Bob")
        before, old = owners(catalogue), catalogue.info().model
        (first,) = catalogue.search(np.zeros((40, 40, 3), np.uint8))
        assert catalogue.re_embed(other, Progress()) == len(before)
        assert owners(catalogue) == before and catalogue.info().model != old
        assert catalogue.model.threshold == 0.5
        (second,) = catalogue.search(np.zeros((40, 40, 3), np.uint8))
        assert [c.individual for c in second.candidates] == [c.individual for c in first.candidates]
        assert catalogue.undo().command == "merge"
        assert len(list((place / "models").iterdir())) == len(list((place / "embeddings").iterdir())) == 1


def test_re_embedding_mends_damaged_embeddings(place: Path, telling: Path) -> None:
    altered_matrix(place)
    with Catalogue(place) as catalogue:
        catalogue.re_embed(telling, Progress())
        assert catalogue.search(np.zeros((40, 40, 3), np.uint8))[0].candidates


def test_re_embedding_refuses_photos_that_are_gone_or_changed(
    place: Path, telling: Path, photos: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(photos, tmp_path / "moved"))
    new, _ = enrol(telling, records_of(moved), tmp_path / "new", Progress())
    victim = sorted((moved / "Bob").iterdir())[0]
    Image.effect_noise((40, 40), 60).convert("RGB").save(victim)
    with pytest.raises(DataError, match="its file has changed"):
        new.re_embed(telling, Progress())
    last, first = sorted((moved / "Cy").iterdir())[-1], sorted((moved / "Ann").iterdir())[0]
    shutil.copy(first, last)  # now the same as another one
    with pytest.raises(DataError, match=r"2 of .* photos are not there") as caught:
        new.re_embed(telling, Progress())
    assert f"Cy/{last.name}: its file has changed" in caught.value.details
    victim.unlink()
    with pytest.raises(DataError, match="not there as they were enrolled"):
        new.re_embed(telling, Progress())
    assert new.search(np.zeros((40, 40, 3), np.uint8))[0].candidates
    new.close()
