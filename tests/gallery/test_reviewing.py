"""A review's decisions against the catalogue's journal: what is taken back, by whom, and what stays."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from conftest import draw_photo, write_photos
from siamesekit.data.records import Record
from siamesekit.errors import DataError, OutputError, UserError
from siamesekit.files.writer_lock import writer
from siamesekit.gallery.catalogue import Catalogue, enrol
from siamesekit.gallery.decisions import Decision
from siamesekit.gallery.match_page import PageFacts, with_names
from siamesekit.gallery.reviewing import DecidedMeanwhileError, Review
from siamesekit.gallery.season import season
from siamesekit.gallery.storage import LOCK
from siamesekit.progress import Progress
from siamesekit.registry import READERS

BEFORE = {"Ann": 4, "Bob": 4, "Cy": 4}


@pytest.fixture(scope="module")
def enrolled(telling: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of three individuals; not to be written to."""
    folder = tmp_path_factory.mktemp("reviewing")
    photos = write_photos(folder / "photos", list(BEFORE))
    records: list[Record] = READERS.build("folder", {"root": str(photos)}, seed=0)
    catalogue, _ = enrol(telling, records, folder / "catalogue", Progress(), author="Zoe")
    catalogue.close()
    return folder / "catalogue"


@pytest.fixture
def catalogue(enrolled: Path, tmp_path: Path) -> Iterator[Catalogue]:
    """A copy of it, opened by another process, so to speak."""
    with Catalogue(Path(shutil.copytree(enrolled, tmp_path / "catalogue"))) as opened:
        yield opened


def reviewing(catalogue: Catalogue, folder: Path) -> Review:
    folder.mkdir(exist_ok=True)
    records = []
    for number in range(4):
        Image.fromarray(draw_photo(number, 70)).save(folder / f"{number}.png")
        records.append(Record(f"{number}.png", "", folder / f"{number}.png"))
    return Review(catalogue.path, catalogue.match(records).queries, "Yan", "cpu")


@pytest.fixture
def review(catalogue: Catalogue, tmp_path: Path) -> Iterator[Review]:
    review = reviewing(catalogue, tmp_path / "new")
    yield review
    review.close()


def changes(catalogue: Catalogue) -> list[tuple[int, str, bool]]:
    return [(change.id, change.command, change.undone) for change in catalogue.log()]


def test_taking_back_what_the_catalogue_had_before_undoes_nothing_else(
    catalogue: Catalogue, review: Review, tmp_path: Path
) -> None:
    review.put(0, "unsure", "", [], None)
    catalogue.rename("Cy", "Cyd")
    again = reviewing(catalogue, tmp_path / "new")  # the photo is open, and so asked again
    before = changes(catalogue)
    again.put(0, "unsure", "", [], None)
    assert again.said()[0]["change"] == 0 and changes(catalogue) == before
    again.put(0, "open", "", [], 0)
    assert changes(catalogue) == before and again.said() == {}
    again.put(0, "unsure", "", [], None)
    again.put(0, "same", "Ann", [], 0)
    assert catalogue.individuals() == {"Ann": 5, "Bob": 4, "Cyd": 4}
    again.close()


def test_a_photo_that_was_enrolled_meanwhile_stays_when_the_decision_is_taken_back(
    catalogue: Catalogue, review: Review
) -> None:
    photo = review.queries[0].photos[0].record
    catalogue.add([replace(photo, individual="Ann")], Progress())
    review.put(0, "same", "Ann", [], None)
    review.put(0, "open", "", [], review.said()[0]["change"])
    assert catalogue.individuals() == BEFORE | {"Ann": 5}


def test_a_decision_that_cannot_be_replaced_now_stays(catalogue: Catalogue, review: Review) -> None:
    review.put(0, "same", "Ann", [], None)
    change = review.said()[0]["change"]
    with (
        writer(catalogue.path / LOCK, "the catalogue"),
        pytest.raises(OutputError, match="is being changed by process"),
    ):
        review.put(0, "same", "Bob", [], change)
    before = changes(catalogue)
    with pytest.raises(DataError, match="1 decisions cannot be applied"):
        review.put(0, "same", "Nobody", [], change)
    assert changes(catalogue) == before
    assert review.said()[0]["individual"] == "Ann" and catalogue.individuals() == BEFORE | {"Ann": 5}
    review.put(0, "same", "Bob", [], change)
    assert catalogue.individuals() == BEFORE | {"Bob": 5}


def test_a_decision_that_was_undone_elsewhere_is_open_again(catalogue: Catalogue, review: Review) -> None:
    review.put(0, "same", "Ann", [], None)
    review.put(1, "bad", "", [], None)
    change = review.said()[0]["change"]
    catalogue.undo()
    catalogue.undo()
    with pytest.raises(DecidedMeanwhileError):
        review.put(0, "same", "Bob", [], change)
    assert review.said() == {}
    review.put(0, "same", "Bob", [], None)
    assert catalogue.individuals() == BEFORE | {"Bob": 5}


def test_photos_that_have_been_moved_since_are_not_moved_again(catalogue: Catalogue, review: Review) -> None:
    review.put(0, "same", "Ann", [], None)
    change = review.said()[0]["change"]
    catalogue.merge("Bob", "Ann")
    for word, name in (("open", ""), ("same", "Cy")):
        with pytest.raises(UserError, match="have been moved since"):
            review.put(0, word, name, [], change)
    assert catalogue.individuals() == {"Bob": 9, "Cy": 4}
    assert catalogue.undo().command == "merge"
    review.put(0, "open", "", [], change)
    assert catalogue.individuals() == BEFORE


def test_undoing_never_brings_back_a_photo_that_was_taken_out(catalogue: Catalogue, review: Review) -> None:
    review.put(0, "same", "Ann", [], None)
    (photo,) = set(catalogue.photos_of("Ann")) - {1, 2, 3, 4}
    name = catalogue.photo(photo).record.name
    catalogue.split("Bob", [name])
    catalogue.split("Ann", [name])  # where the review has put it
    review.put(0, "open", "", [], review.said()[0]["change"])
    assert catalogue.individuals() == BEFORE
    assert catalogue.undo().command == catalogue.undo().command == "split"
    assert catalogue.individuals() == BEFORE


def test_new_individuals_of_two_reviewers_never_become_one(catalogue: Catalogue, review: Review) -> None:
    review.put(0, "new", "new-a1-1", [], None, True)
    review.put(1, "new", "new-a1-1", [], None, True)  # of a page that has not seen the first one
    review.put(2, "new", "new-a1-1", [], None)  # typed: that individual
    assert [review.said()[number]["individual"] for number in range(3)] == ["new-a1-1", "new-a1-2", "new-a1-1"]
    assert catalogue.individuals() == BEFORE | {"new-a1-1": 2, "new-a1-2": 1}
    review.put(1, "new", "new-a1-2", [], review.said()[1]["change"], True)  # its own name is free for it
    assert review.said()[1]["individual"] == "new-a1-2"
    review.put(3, "new", "Ann", [], None, True)
    assert review.said()[3]["individual"] == "Ann-2"


def test_a_new_name_stays_usable_when_its_first_photo_is_taken_back(catalogue: Catalogue, review: Review) -> None:
    review.put(0, "new", "Dee", [], None)
    review.put(1, "new", "Dee", [], None)
    review.put(0, "open", "", [], review.said()[0]["change"])
    review.put(2, "new", "Dee", [], None)
    assert catalogue.individuals() == BEFORE | {"Dee": 2}
    for number in (1, 2):
        review.put(number, "open", "", [], review.said()[number]["change"])
    review.put(3, "new", "Dee", [], None)
    review.put(3, "new", "Dee", [], review.said()[3]["change"])
    assert catalogue.individuals() == BEFORE | {"Dee": 1}


def test_what_is_said_twice_counts_once(catalogue: Catalogue, review: Review) -> None:
    review.put(0, "same", "Ann", [], None)
    before = changes(catalogue)
    review.put(0, "same", "Ann", [], None)  # its first answer was lost
    review.put(1, "open", "", [], 7)
    assert changes(catalogue) == before


def test_decisions_and_names_that_do_not_belong_together_are_refused(review: Review) -> None:
    for word, name in (("unsure", "Ann"), ("open", "Ann"), ("new", " "), ("same", "a\nb"), ("new", "\ud800")):
        with pytest.raises(DataError, match=r"there is no individual, but 'Ann'|is empty|cannot be seen"):
            review.put(0, word, name, [], None)
    record = review.queries[0].photos[0].record
    for name in (" Ann", "Zoe\u0301"):
        with pytest.raises(DataError, match="is not as a catalogue has it"):
            Decision(replace(record, individual=name), "0" * 64, "same", (), "here")
    review.put(0, "new", "Dee", ["Ann", "\ud800"], None)
    assert review.said()[0]["rejected"] == ["Ann"]  # only names that there are


def test_a_photo_whose_name_is_not_text_is_left_out_in_words(
    catalogue: Catalogue, review: Review, tmp_path: Path
) -> None:
    odd = os.fsencode(str(tmp_path / "new")) + b"/caf\xe9.png"
    shutil.copy(tmp_path / "new" / "1.png", odd)
    records = season(tmp_path / "new")
    found = catalogue.match(records)
    assert len(found.queries) == 4 and [photo.reason for photo in found.unusable] == [
        "its path is not UTF-8, and a catalogue keeps text"
    ]
    with pytest.raises(DataError, match="nothing was added"):
        catalogue.add([replace(record, individual="Ann") for record in records], Progress())
    assert catalogue.individuals() == BEFORE
    with Catalogue(catalogue.path, author="Zo\udce9") as odd:
        odd.rename("Ann", "Anna")
    assert catalogue.log()[0].author == "Zo\\udce9"


def test_an_individual_that_was_renamed_elsewhere_has_its_new_name(catalogue: Catalogue, review: Review) -> None:
    review.put(0, "same", "Ann", [], None)
    review.put(1, "new", "Dee", ["Ann", "Bob"], None)
    catalogue.rename("Ann", "Anna")
    catalogue.rename("Dee", "Deirdre")
    assert review.renamed() == {"Ann": "Anna"}  # Dee was not there when the page was made
    said = review.said()
    assert said[0]["individual"] == "Anna" and said[1]["individual"] == "Deirdre"
    assert said[1]["rejected"] == ["Anna", "Bob"]
    review.put(2, "same", "Ann", [], None)  # of a page that was not loaded again
    assert catalogue.individuals()["Anna"] == 6
    asked = {"name": "q", "candidates": [{"individual": "Bob", "best": 5}, {"individual": "Ann", "best": 1}]}
    facts = PageFacts({"individuals": ["Ann", "Bob"], "further": {"Ann": [1], "Bob": [5]}}, lambda: iter([asked]))
    shown = with_names(facts, review.renamed())
    assert shown.head == {"individuals": ["Anna", "Bob"], "further": {"Anna": [1], "Bob": [5]}}
    assert [each["individual"] for query in shown.queries() for each in query["candidates"]] == ["Bob", "Anna"]
    assert [catalogue.undo().command for _ in range(3)] == ["decide", "rename", "rename"]
    assert review.renamed() == {} and review.said()[0]["individual"] == "Ann"


def test_each_decision_has_its_own_author(catalogue: Catalogue, review: Review) -> None:
    review.put(0, "same", "Ann", [], None, False, "Zo\u00eb")
    review.put(1, "same", "Bob", [], None)
    review.put(0, "open", "", [], review.said()[0]["change"], False, "Max")
    assert [change.author for change in catalogue.log(3)] == ["Max", "Yan", "Zo\u00eb"]
    with pytest.raises(DataError, match="cannot be seen"):
        review.put(2, "same", "Ann", [], None, False, "a\u202eb")
    assert len(catalogue.log()) == 4
