"""Individuals among embeddings and among a catalogue's photos, from clusters to answers."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import sklearn.cluster  # noqa: F401 - importing takes a second, which is not to be the first test's
import torch
from PIL import Image
from torch import Tensor

import siamesekit
from conftest import draw_photo, write_photos
from siamesekit.artifact.loading import load
from siamesekit.artifact.similarity_model import SimilarityModel
from siamesekit.data.records import Record
from siamesekit.errors import DataError, OutputError, UserError
from siamesekit.gallery.catalogue import Catalogue, enrol
from siamesekit.gallery.cluster_folder import PAIRS, check_cluster_folder, write_discovery
from siamesekit.gallery.decisions import Decision, Word
from siamesekit.gallery.discovering import cluster
from siamesekit.gallery.discovery import Discovery, PhotoSet, discover
from siamesekit.gallery.links import Links
from siamesekit.gallery.names import unique_names
from siamesekit.gallery.pair_answers import PairAnswer
from siamesekit.gallery.recorded_links import recorded_links
from siamesekit.gallery.storage import DATABASE
from siamesekit.progress import Progress
from siamesekit.registry import READERS

LABELS = np.repeat(np.arange(15), [1, 2, 3, 4, 5] * 3)


@pytest.fixture(scope="module")
def model(telling: Path) -> SimilarityModel:
    return load(telling, "cpu")


def embeddings(spread: float) -> Tensor:
    """Points of 15 individuals in 12 dimensions, the centres about 3.5 apart."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(15, 12))[LABELS] * 0.7 + rng.normal(size=(len(LABELS), 12)) * spread
    return torch.from_numpy(points.astype(np.float32))


def names_of(labels: np.ndarray) -> list[str]:
    return [f"animal {label}" for label in labels]


def knowing(found: Discovery) -> list[PairAnswer]:
    """The answers of a person who knows, with those that were given."""
    pairs = [(found.photos[a], found.photos[b], bool(LABELS[a] == LABELS[b]), n) for (a, b), _, n in found.asked]
    return [*found.answers, *(PairAnswer(*pair) for pair in pairs)]


def test_individuals_far_apart_are_found(model: SimilarityModel) -> None:
    found = cluster(embeddings(0.02), model, individuals=names_of(LABELS))
    assert found.rand_index is not None and found.rand_index.value == 1
    assert found.found is not None and (found.found.value, found.labelled) == (pytest.approx(15), 15)
    assert np.bincount(found.clusters)[1:].tolist() == sorted(np.bincount(LABELS), reverse=True)
    assert repr(found) == "Discovery(45 photos, 15 clusters)"
    other = cluster(embeddings(0.02), model, individuals=names_of(LABELS), method="hdbscan")
    assert other.rand_index is not None and other.rand_index.value > 0.9  # it joins individuals with one photo
    plain = cluster(embeddings(0.02), model)
    assert plain.rand_index is None and plain.found is None and plain.photos[0] == "1"
    np.testing.assert_array_equal(plain.clusters, cluster(embeddings(0.02), model, method="average").clusters)


@pytest.mark.medium
def test_answers_improve_clusters_and_give_the_number_of_individuals(model: SimilarityModel) -> None:
    points = embeddings(0.35)
    found = cluster(points, model, individuals=names_of(LABELS), questions=60)
    index = [found.rand_index.value if found.rand_index else 0]
    assert index[0] < 0.9 and found.count is None
    for _ in range(4):
        found = cluster(points, model, individuals=names_of(LABELS), questions=60, answers=knowing(found))
        index.append(found.rand_index.value if found.rand_index else 0)
    assert index[-1] > index[0] + 0.2
    assert found.count is not None and found.count.low <= 15 <= found.count.high
    assert found.count.high - found.count.low < 15


def test_individuals_named_wrongly_are_suggested_for_a_merge_and_a_split(model: SimilarityModel) -> None:
    own = names_of(LABELS)
    own[13], own[14] = "twin", "twin"  # two photos of animal 4 with a name of their own
    own[20] = "animal 9"  # a photo of another animal
    found = cluster(embeddings(0.02), model, individuals=own)
    (merge,) = [each for each in found.merges if found.groups[each.second] == "twin"]
    assert found.groups[merge.first] == "animal 4" and sorted(merge.sizes) == [2, 3]
    (split,) = found.splits
    assert found.groups[split.group] == "animal 9" and split.leaving.tolist() == [20]


def test_labelled_individuals_that_trained_the_network_are_counted(model: SimilarityModel) -> None:
    links = Links(len(LABELS))
    photos = PhotoSet(names_of(np.arange(45)), names_of(LABELS), embeddings(0.1), links, frozenset({"animal 3", "Zoe"}))
    assert discover(photos, model).notes == ("1 of 15 labelled individuals trained the network: the index is too good",)


def test_photos_that_are_all_alone_are_told(model: SimilarityModel) -> None:
    found = cluster(torch.eye(8) * 100, model)
    assert found.clusters.tolist() == [1, 2, 3, 4, 5, 6, 7, 8] and found.merges == () and found.splits == ()
    assert found.notes == (
        "no two photos are like enough to be one individual: the model may be too weak for these photos",
    )
    assert found.asked  # the model may be wrong


def test_wrong_requests_are_refused(model: SimilarityModel) -> None:
    points = embeddings(0.1)
    for arguments, message in (
        ({"names": ["a"]}, "45 embeddings, 1 names and 45 individuals"),
        ({"names": ["a"] * 45}, "the names of the photos must be different"),
        ({"method": "k-means"}, "method 'k-means'; expected average or hdbscan"),
        ({"answers": [PairAnswer("1", "99", True)]}, "1 answers cannot be used"),
    ):
        with pytest.raises(UserError, match=message):
            cluster(points, model, **arguments)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="at least 2 photos, not 1"):
        cluster(points[:1], model)


def test_a_model_without_a_threshold_is_refused(telling: Path) -> None:
    model = load(telling, "cpu")
    model.calibration = None
    model.description = {**model.description, "no_threshold": "too few individuals"}
    with pytest.raises(UserError, match=r"the model has no threshold, .*: too few individuals"):
        cluster(embeddings(0.1), model)


def test_the_tables_name_each_photo_and_keep_answers(model: SimilarityModel, tmp_path: Path) -> None:
    found = cluster(embeddings(0.35), model, individuals=names_of(LABELS), questions=20)
    folder = tmp_path / "out"
    write_discovery(folder, found)
    with (folder / "clusters.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["cluster"]) for row in rows] == found.clusters.tolist() and rows[0]["individual"] == "animal 0"
    with (folder / "suggestions.csv").open(newline="") as file:
        kinds = [row["suggestion"] for row in csv.DictReader(file)]
    assert kinds == ["merge"] * len(found.merges) + ["split"] * len(found.splits) and kinds
    check_cluster_folder(folder, None)  # no answers yet: they can be written again
    text = (folder / PAIRS).read_text().splitlines()
    assert len(text) == 1 + len(found.asked)
    (folder / PAIRS).write_text("\n".join([text[0], text[1] + "no", *text[2:]]) + "\n")
    with pytest.raises(OutputError, match=r"has 1 answers that would be lost: give them with --answers"):
        check_cluster_folder(folder, None)
    check_cluster_folder(folder, folder / PAIRS)
    again = cluster(embeddings(0.35), model, answers=folder / PAIRS, questions=20)
    write_discovery(folder, again)
    assert (folder / PAIRS).read_text().splitlines()[1].endswith("no")
    (folder / "notes.txt").touch()
    with pytest.raises(OutputError, match=r"holds something other than clusters: notes.txt"):
        check_cluster_folder(folder, folder / PAIRS)


def test_a_folder_of_others_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there is no folder"):
        check_cluster_folder(tmp_path / "no" / "out", None)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is not a folder"):
        check_cluster_folder(tmp_path / "file", None)
    for name, message in (("clusters.csv", "other than clusters: clusters.csv"), (PAIRS, "pairs.csv is not replaced")):
        folder = tmp_path / name.split(".")[0]
        folder.mkdir()
        (folder / name).write_text("mine")
        with pytest.raises(OutputError, match=message):
            check_cluster_folder(folder, None)


@pytest.fixture
def place(telling: Path, tmp_path: Path) -> Path:
    """A catalogue of four individuals with four photos each."""
    folder = write_photos(tmp_path / "photos", ["Ann", "Bob", "Cy", "Dee"])
    records: list[Record] = READERS.build("folder", {"root": str(folder)}, seed=0)
    catalogue, _ = enrol(telling, records, tmp_path / "c", Progress(), device="cpu")
    catalogue.close()
    return tmp_path / "c"


def links_of(catalogue: Catalogue) -> tuple[set[frozenset[str]], set[frozenset[str]]]:
    """Must-links and cannot-links by the names of the photos."""
    gallery, names = catalogue._search.gallery()
    with sqlite3.connect(catalogue.path / DATABASE) as connection:
        links = recorded_links(connection, gallery, catalogue.model.distance)
    connection.close()

    def told(pairs: Iterable[tuple[int, int]]) -> set[frozenset[str]]:
        return {frozenset(names.photos[each][0] for each in pair) for pair in pairs}

    return told(links.must), told(links.cannot)


def test_what_people_have_done_to_a_catalogue_links_its_photos(place: Path) -> None:
    with Catalogue(place, "cpu") as catalogue:
        assert links_of(catalogue) == (set(), set())
        names = {own: [catalogue.photo(n).record.name for n in catalogue.photos_of(own)] for own in ("Ann", "Bob")}
        catalogue.merge("Ann", "Bob")
        must, cannot = links_of(catalogue)
        assert not cannot and len(must) == len(names["Bob"])  # those of Bob, and one of Ann
        assert sum(bool(pair & set(names["Ann"])) for pair in must) == 1
        catalogue.undo()
        assert links_of(catalogue) == (set(), set())
        moved, *stayed = names["Bob"]
        catalogue.split("Eve", [moved])
        assert links_of(catalogue) == (set(), {frozenset((moved, other)) for other in stayed})
        catalogue.merge("Bob", "Eve")  # after all
        must, cannot = links_of(catalogue)
        assert not cannot and must and all(moved in pair for pair in must)


def test_what_people_have_decided_and_rejected_links_photos(place: Path, tmp_path: Path) -> None:
    def decision(photo: str, individual: str, word: Word, *rejected: str) -> Decision:
        file = tmp_path / photo
        digest = sha256(file.read_bytes()).hexdigest()
        return Decision(Record(photo, individual, file), digest, word, rejected, "line 2")

    files = [f"new-{number}.png" for number in range(4)]
    for number, name in enumerate(files):
        Image.fromarray(draw_photo(9, number)).save(tmp_path / name)
    with Catalogue(place, "cpu") as catalogue:
        ann = {frozenset((files[0], catalogue.photo(number).record.name)) for number in catalogue.photos_of("Ann")}
        catalogue.decide([decision(files[0], "Fay", "new", "Ann"), decision(files[1], "Fay", "new")], Progress())
        assert links_of(catalogue) == ({frozenset(files[:2])}, ann)
        catalogue.decide([decision(files[2], "Cy", "same"), decision(files[3], "", "unsure", "Dee")], Progress())
        must, cannot = links_of(catalogue)
        (new,) = must - {frozenset(files[:2])}
        assert cannot == ann and files[2] in new and any(name.startswith("Cy/") for name in new)
        catalogue.undo()
        catalogue.merge("Ann", "Fay")  # what was rejected is overruled
        assert links_of(catalogue)[1] == set()


def test_a_catalogue_is_clustered_with_its_links_and_left_as_it_is(place: Path) -> None:
    with Catalogue(place, "cpu") as catalogue:
        catalogue.merge("Ann", "Bob")
        before = catalogue.log()
        found = catalogue.cluster(questions=5)
        assert catalogue.log() == before and set(found.individuals) == {"Ann", "Cy", "Dee"}
        moved = [n for n, name in enumerate(found.photos) if name.startswith("Bob/")]
        assert len({int(found.clusters[n]) for n in moved}) == 1
        some = catalogue.cluster(where="individual in ('Cy', 'Dee')")
        assert len(some.photos) == 8
        with pytest.raises(DataError, match="decisions in the catalogue"):
            answers = [PairAnswer(found.photos[moved[0]], found.photos[moved[1]], False)]
            catalogue.cluster(answers=answers)


def test_a_name_for_each_photo() -> None:
    photos = [("1.jpg", "a/1.jpg"), ("1.jpg", "a/1.jpg"), ("1.jpg", "b/1.jpg"), ("2.jpg", "b/2.jpg")]
    assert unique_names(photos, [4, 5, 6, 7]) == ["a/1.jpg #4", "a/1.jpg #5", "b/1.jpg", "2.jpg"]


def test_the_public_function_is_this_one() -> None:
    assert siamesekit.cluster is cluster
