"""A second look on drawn skins: shared points are counted once, and move the right individual forward."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from patterns import SIDE, turned, view
from siamesekit import Sift
from siamesekit.components.distances.euclidean import Euclidean
from siamesekit.components.matchers.matcher import Keypoints, PointMatches
from siamesekit.data.records import Box, Record
from siamesekit.errors import ComponentError, UserError
from siamesekit.files.cache_folder import cache_folder
from siamesekit.gallery import shared_points
from siamesekit.gallery.catalogue import Catalogue, enrol
from siamesekit.gallery.fusion import Fusion
from siamesekit.gallery.match_folder import write_match
from siamesekit.gallery.search import Gallery, rank
from siamesekit.gallery.second_look import Looker, SecondLook, look_again
from siamesekit.gallery.shared_points import CACHE, UNREADABLE, SharedPoints, sightings
from siamesekit.gallery.sighting import Sighting
from siamesekit.progress import Progress

PEOPLE, VIEWS = 12, 4


class Counting:
    """Says that photos share as many points as the first pixel of the one is the second's; counts its calls."""

    def __init__(self) -> None:
        self.described = self.matched = 0

    def __repr__(self) -> str:
        return "Counting()"

    def describe(self, photo: Any) -> Keypoints:
        self.described += 1
        return Keypoints(np.full((1, 2), photo[0, 0, 0], np.float32), np.ones((1, 1), np.float32), (1, 1))

    def match(self, first: Keypoints, second: Keypoints) -> PointMatches:
        self.matched += 1
        count = int(min(first.points[0, 0], second.points[0, 0]))
        return PointMatches(np.zeros((count, 2), np.float32), np.zeros((count, 2), np.float32))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def photo(folder: Path, value: int) -> Record:
    file = folder / f"{value}.png"
    Image.new("RGB", (8, 8), (value, value, value)).save(file)
    return Record(file.name, "", file)


def test_numbers_that_are_known_are_not_computed_again(tmp_path: Path) -> None:
    seen = sightings([photo(tmp_path, value) for value in (3, 5, 7)])
    pairs = [(seen[0], seen[1]), (seen[1], seen[2]), (seen[0], seen[2])]
    matcher = Counting()
    assert SharedPoints(matcher).counts(pairs).tolist() == [3, 5, 3]
    assert matcher.matched == 3 <= matcher.described  # two threads may describe a photo at once
    again = Counting()
    assert SharedPoints(again).counts([*pairs, (seen[2], seen[1])]).tolist() == [3, 5, 3, 5]
    assert again.matched == 1
    boxed = replace(seen[0], record=replace(seen[0].record, box=Box(0, 0, 4, 4)))
    other = Counting()
    assert SharedPoints(other).counts([(boxed, seen[1])]).tolist() == [3]
    assert other.matched == 1  # another box is another photo


def test_another_matcher_counts_anew(tmp_path: Path) -> None:
    seen = sightings([photo(tmp_path, value) for value in (3, 5)])

    class Other(Counting):
        def __repr__(self) -> str:
            return "Counting(size=2)"

    SharedPoints(Counting()).counts([(seen[0], seen[1])])
    other = Other()
    SharedPoints(other).counts([(seen[0], seen[1])])
    assert other.matched == 1


def test_a_photo_that_changed_or_is_gone_is_unreadable_and_not_remembered(tmp_path: Path) -> None:
    seen = sightings([photo(tmp_path, value) for value in (3, 5, 7)])
    Path(str(seen[0].record.source)).unlink()
    photo(tmp_path, 9).source.replace(tmp_path / "5.png")  # type: ignore[union-attr]
    pairs = [(seen[0], seen[2]), (seen[2], seen[1])]
    assert SharedPoints(Counting()).counts(pairs).tolist() == [UNREADABLE, UNREADABLE]
    photo(tmp_path, 3)
    assert SharedPoints(Counting()).counts(pairs).tolist() == [3, UNREADABLE]


def test_photos_in_memory_are_counted_and_not_remembered(tmp_path: Path) -> None:
    pixels = np.full((4, 4, 3), 6, np.uint8)
    (known,) = sightings([photo(tmp_path, 9)])
    given = Sighting(Record("photo 1", "", lambda: pixels))
    for _ in range(2):
        matcher = Counting()
        assert SharedPoints(matcher).counts([(given, known)]).tolist() == [6]
        assert matcher.matched == 1


def test_photos_in_memory_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """One is gone when the next comes, which may lie at the same place in memory."""
    (known,) = sightings([photo(tmp_path, 200)])
    shared = SharedPoints(Counting())
    for value in range(1, 60):
        pixels = np.full((4, 4, 3), value, np.uint8)
        assert shared.counts([(Sighting(Record("photo 1", "", pixels.copy)), known)]).tolist() == [value]


@pytest.mark.parametrize("harm", ["damaged", "a folder", "no home"])
def test_without_a_usable_cache_it_counts_all_the_same(
    harm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cache_folder()
    assert folder is not None
    folder.mkdir(parents=True)
    if harm == "damaged":
        (folder / CACHE).write_bytes(b"no database at all, and long enough to be read as one" * 100)
    elif harm == "a folder":
        (folder / CACHE).mkdir()
    else:
        monkeypatch.setattr(shared_points, "cache_folder", lambda: None)
    seen = sightings([photo(tmp_path, value) for value in (3, 5)])
    assert SharedPoints(Counting()).counts([(seen[0], seen[1])]).tolist() == [3]


def test_the_cache_starts_anew_when_it_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = sightings([photo(tmp_path, value) for value in (3, 5)])
    SharedPoints(Counting()).counts([(seen[0], seen[1])])
    monkeypatch.setattr(shared_points, "CACHE_BYTES", 10)
    matcher = Counting()
    SharedPoints(matcher).counts([(seen[0], seen[1])])
    assert matcher.matched == 1
    file = (cache_folder() or tmp_path) / CACHE
    assert sqlite3.connect(file).execute("SELECT count(*) FROM matches").fetchone() == (1,)


def of_view(file: Path, matrix: NDArray[np.float64], **saved: Any) -> Record:
    Image.fromarray(view(1, matrix)).save(file, **saved)
    return Record(file.name, "", file)


def mapped(points: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances in pixels between where the map puts the first points and where the second are found, `[M]`."""
    first, second = points[:, :2] * SIDE - 0.5, points[:, 2:] * SIDE - 0.5
    return np.linalg.norm(first @ matrix[:, :2].T + matrix[:, 2] - second, axis=1)


def test_shared_points_lie_on_each_other_under_the_map_and_are_kept(tmp_path: Path) -> None:
    matrix = turned(25, 0.9)
    seen = sightings([of_view(tmp_path / "a.png", turned(0)), of_view(tmp_path / "b.png", matrix)])
    shared = SharedPoints(Sift(tolerance=0.01))
    (found,) = shared.points([(seen[0], seen[1])])
    assert found is not None and found.dtype == np.float32 and len(found) > 50
    assert (mapped(found, matrix) < 2).mean() > 0.9 and mapped(found, matrix).max() < 0.01 * SIDE + 2
    assert shared.counts([(seen[0], seen[1])]).tolist() == [len(found)]

    class Blind(Sift):
        def match(self, first: Keypoints, second: Keypoints) -> PointMatches:
            raise AssertionError("these points are known")

    again = SharedPoints(Blind(tolerance=0.01))
    again.name = shared.name
    (kept,) = again.points([(seen[0], seen[1])])
    assert kept is not None
    np.testing.assert_array_equal(kept, found)


def test_shared_points_are_those_of_the_upright_photo_and_its_box(tmp_path: Path) -> None:
    """A file that lies on its side, and one that is a part of a larger photo, show the same skin."""
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90° clockwise
    lying = tmp_path / "lying.png"
    Image.fromarray(view(1, turned(0))).rotate(90).save(lying, exif=exif)
    wide = Image.new("RGB", (3 * SIDE, 2 * SIDE), (90, 120, 150))
    wide.paste(Image.fromarray(view(1, turned(0))), (SIDE, SIDE // 2))
    wide.save(tmp_path / "wide.png")
    boxed = Record("wide.png", "", tmp_path / "wide.png", box=Box(SIDE, SIDE // 2, SIDE, SIDE))
    seen = sightings([of_view(tmp_path / "a.png", turned(0)), Record("lying.png", "", lying), boxed])
    for points in SharedPoints(Sift()).points([(seen[0], seen[1]), (seen[0], seen[2])]):
        assert points is not None and len(points) > 100
        assert (mapped(points, turned(0)) < 2).all()


def test_a_cache_of_an_earlier_version_is_renewed(tmp_path: Path) -> None:
    folder = cache_folder()
    assert folder is not None
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / CACHE)) as old, old:
        old.execute("CREATE TABLE counts (pair BLOB PRIMARY KEY, points INTEGER) WITHOUT ROWID")
        old.execute("INSERT INTO counts VALUES (?, ?)", (b"0123456789abcdef", 7))
    seen = sightings([photo(tmp_path, value) for value in (3, 5)])
    for matched in (1, 0):
        matcher = Counting()
        assert SharedPoints(matcher).counts([(seen[0], seen[1])]).tolist() == [3]
        assert matcher.matched == matched
    with closing(sqlite3.connect(folder / CACHE)) as renewed:
        assert renewed.execute("SELECT name FROM sqlite_master").fetchall() == [("matches",)]


@pytest.mark.parametrize("damage", [b"123", np.full(4, np.nan, "<f4").tobytes(), 5])
def test_damaged_points_are_found_anew(damage: object, tmp_path: Path) -> None:
    seen = sightings([photo(tmp_path, value) for value in (3, 5)])
    SharedPoints(Counting()).counts([(seen[0], seen[1])])
    with closing(sqlite3.connect((cache_folder() or tmp_path) / CACHE)) as kept, kept:
        kept.execute("UPDATE matches SET points = ?", (damage,))
    matcher = Counting()
    assert SharedPoints(matcher).counts([(seen[0], seen[1])]).tolist() == [3]
    assert matcher.matched == 1


def test_points_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    class Broken(Counting):
        def match(self, first: Keypoints, second: Keypoints) -> PointMatches:
            return PointMatches(np.full((2, 2), np.nan, np.float32), np.zeros((2, 2), np.float32))

    seen = sightings([photo(tmp_path, value) for value in (3, 5)])
    with pytest.raises(UserError, match=r"matcher Counting\(\) gives points that are not finite"):
        SharedPoints(Broken()).points([(seen[0], seen[1])])


def test_options_of_the_matcher() -> None:
    built = SecondLook("sift", options={"ratio": 0.7}).shared.matcher
    assert isinstance(built, Sift) and built.ratio == 0.7
    assert SecondLook("sift", options={"ratio": 0.7}).key != SecondLook("sift").key
    with pytest.raises(ComponentError, match=r"unknown option of matcher 'sift' \(did you mean 'ratio'"):
        SecondLook("sift", options={"ration": 0.7})
    with pytest.raises(UserError, match="a matcher that is built has its options"):
        SecondLook(Counting(), options={"ratio": 0.7})


def test_keypoints_are_kept_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_points, "DESCRIBED", 2)
    seen = sightings([photo(tmp_path, value) for value in range(1, 6)])
    shared = SharedPoints(Counting())
    assert shared.counts([(seen[0], other) for other in seen[1:]]).tolist() == [1] * 4
    assert len(shared._described) == 2


def test_the_best_of_the_nearest_photos_counts(tmp_path: Path) -> None:
    """Against loops: two photos of each individual are looked at, the nearest ones; the query's own are left out."""
    rng = np.random.default_rng(0)
    individuals = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    embeddings = torch.from_numpy(rng.normal(size=(8, 3)))
    gallery = Gallery(embeddings, np.arange(1, 9), individuals)
    values = [9, 3, 7, 2, 8, 4, 6, 5]
    seen = sightings([photo(tmp_path, value) for value in values])
    (query,) = sightings([photo(tmp_path, 200)])
    looker = Looker(SecondLook(Counting(), 3, 2), gallery, Euclidean(), lambda index: seen[index])
    embedding = torch.from_numpy(rng.normal(size=(1, 3)))
    chosen = np.array([[2, 0]])
    found = looker([(embedding, [query])], chosen, np.array([[6]]))
    far = np.linalg.norm(embeddings.numpy() - embedding.numpy(), axis=1)
    for column, individual in enumerate(chosen[0]):
        own = [n for n in np.argsort(far) if individuals[n] == individual and n != 6][:2]
        best = max(own, key=lambda n: values[n])
        assert (found.points[0, column], found.photos[0, column]) == (values[best], best)


def test_a_ranking_is_ordered_by_distance_and_points(tmp_path: Path) -> None:
    gallery = Gallery(torch.tensor([[1.0], [2.0], [3.0], [4.0], [2.5]]), np.arange(1, 6), np.array([0, 1, 2, 3, 1]))
    seen = sightings([photo(tmp_path, value) for value in (1, 2, 30, 50, 20)])
    (query,) = sightings([photo(tmp_path, 255)])
    looker = Looker(SecondLook(Counting(), 3), gallery, Euclidean(), lambda index: seen[index])
    ranking = rank(torch.zeros(1, 1), gallery, Euclidean(), 4)
    fusion = Fusion(0.5, np.log(3))
    found = look_again(ranking, looker, [(torch.zeros(1, 1), [query])], fusion)
    moved = {0: 1 - 0.5 * np.log(2 / 3), 1: 2 - 0.5 * np.log(21 / 3), 2: 3 - 0.5 * np.log(31 / 3), 3: 4.0}
    order = sorted(moved, key=lambda each: moved[each])
    assert found.individuals.tolist() == [order]
    assert found.fused is not None and found.points is not None
    np.testing.assert_allclose(found.fused[0], [moved[each] for each in order])
    assert dict(zip(order, found.points[0].tolist(), strict=True)) == {0: 1, 1: 20, 2: 30, 3: UNREADABLE}
    at = order.index(1)
    assert (found.best[0, at], found.nearest[0, at], found.distances[0, at]) == (4, 2.5, 2.0)
    left = look_again(ranking, looker, [(torch.zeros(1, 1), [query])], None)
    np.testing.assert_array_equal(left.individuals, ranking.individuals)
    assert left.points is not None and left.points.tolist() == [[1, 20, 30, UNREADABLE]]


def test_nothing_to_look_at_is_refused() -> None:
    for individuals, photos in ((0, 3), (12, 0)):
        with pytest.raises(UserError, match="at one individual and one photo at least"):
            SecondLook("sift", individuals, photos)


@pytest.fixture(scope="module")
def skins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of drawn skins, `VIEWS` turned views of each individual, and a further one to search."""
    root = tmp_path_factory.mktemp("skins")
    rng = np.random.default_rng(0)
    for person in range(PEOPLE + 2):
        for number in range(VIEWS + 1):
            matrix = turned(rng.uniform(-30, 30), rng.uniform(0.8, 1.1), rng.uniform(-0.2, 0.2))
            place = root / ("new" if number == VIEWS or person >= PEOPLE else "known") / f"p{person:02}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(view(person, matrix)).save(place / f"{number}.png")
    return root


def records(folder: Path) -> list[Record]:
    return [Record(f"{f.parent.name}/{f.name}", f.parent.name, f) for f in sorted(folder.glob("*/*.png"))]


@pytest.mark.slow
def test_it_finds_skins_that_the_network_cannot_tell(telling: Path, skins: Path, tmp_path: Path) -> None:
    new = [record for record in records(skins / "new") if record.individual < f"p{PEOPLE:02}"]
    strangers = [record for record in records(skins / "new") if record.individual >= f"p{PEOPLE:02}"]
    catalogue, _ = enrol(telling, records(skins / "known"), tmp_path / "catalogue", Progress(), device="cpu")
    with catalogue:
        files = [Path(str(record.source)) for record in new]
        look = SecondLook()
        plain, found = catalogue.search(files), catalogue.search(files, second_look=look)
        right = [
            sum(answer.candidates[0].individual == record.individual for answer, record in zip(each, new, strict=True))
            for each in (plain, found)
        ]
        assert right[1] >= PEOPLE - 1 and right[1] > right[0]
        assert "20 shared points count as much as" in catalogue.identification(second_look=look).note
        for answer in found:
            assert answer.candidates[0].points is not None and answer.candidates[0].points > 10
            assert answer.new is not None
            assert answer.new + sum(each.probability or 0 for each in answer.candidates) == pytest.approx(1)
        unknown = catalogue.search([Path(str(record.source)) for record in strangers], second_look=look)
        assert max(answer.new or 0 for answer in found) < min(answer.new or 1 for answer in unknown)
        (short,) = catalogue.search(files[0], k=2, second_look=look)
        assert [each.individual for each in short.candidates] == [each.individual for each in found[0].candidates[:2]]
        pixels = np.asarray(Image.open(files[0]))
        (given,) = catalogue.search(pixels, second_look=look)
        expected = [(each.individual, each.points) for each in found[0].candidates]
        assert [(each.individual, each.points) for each in given.candidates] == expected
        matches = catalogue.match(new, second_look=look)
        assert [query.answer.candidates for query in matches.queries] == [answer.candidates for answer in found]
        page = write_match(tmp_path / "match", catalogue, matches, Progress()).read_text()
        first = found[0].candidates[0]
        assert f'"individual":"{first.individual}"' in page and f'"points":{first.points},' in page
        shared = matches.queries[0].shared
        assert len(shared[0, first.best.photo]) == first.points
        assert set(shared) == {(0, each.best.photo) for each in found[0].candidates if each.points}
        assert f'"shared":[{{"count":{first.points},"places":[' in page
        table = (tmp_path / "match" / "matches.csv").read_text().splitlines()
        assert table[0].endswith(",photos,points,verdict") and table[1].endswith(f",{first.photos},{first.points},")
        (both,) = catalogue.search([files[0], files[0]], together=True, second_look=look)
        assert both.candidates[0].individual == new[0].individual
        bad = catalogue.search(files, second_look=SecondLook(individuals=1))
        assert all(answer.candidates[1].points is None for answer in bad)


@pytest.mark.slow
def test_without_the_photos_nothing_moves(telling: Path, skins: Path, tmp_path: Path) -> None:
    """The catalogue's photos have been moved: no points can be counted, and the note says so."""
    known = tmp_path / "known"
    known.mkdir()
    copies = []
    for record in records(skins / "known"):
        target = known / record.name.replace("/", "-")
        target.write_bytes(Path(str(record.source)).read_bytes())
        copies.append(replace(record, source=target))
    catalogue, _ = enrol(telling, copies, tmp_path / "catalogue", Progress(), device="cpu")
    with catalogue:
        for file in known.iterdir():
            file.unlink()
        files = [Path(str(record.source)) for record in records(skins / "new")[:3]]
        plain, found = catalogue.search(files), catalogue.search(files, second_look=SecondLook())
        for before, after in zip(plain, found, strict=True):
            assert [each.individual for each in after.candidates] == [each.individual for each in before.candidates]
            assert all(each.points is None for each in after.candidates)
        assert "counted and change nothing" in catalogue.identification(second_look=SecondLook()).note


@pytest.mark.slow
def test_a_catalogue_can_be_opened_anew_with_the_same_answers(telling: Path, skins: Path, tmp_path: Path) -> None:
    catalogue, _ = enrol(telling, records(skins / "known")[: 10 * VIEWS], tmp_path / "catalogue", Progress())
    query = Path(str(records(skins / "new")[0].source))
    with catalogue:
        first = catalogue.search(query, second_look=SecondLook())
    with Catalogue(tmp_path / "catalogue") as again:
        assert again.search(query, second_look=SecondLook()) == first
