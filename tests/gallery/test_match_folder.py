"""The folder of a match: nothing of the user's is replaced, and no photo is ever shown as another one."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from conftest import draw_photo, write_photos
from siamesekit.data.images import read_pixels
from siamesekit.data.records import Record
from siamesekit.errors import OutputError
from siamesekit.files import atomic, spooled
from siamesekit.files.spooled import Spooled
from siamesekit.gallery import match_folder
from siamesekit.gallery.catalogue import Catalogue, enrol
from siamesekit.gallery.known_photos import KnownPhoto
from siamesekit.gallery.match_folder import OWN, PAGE, PICTURES, TABLE, check_folder, write_match
from siamesekit.gallery.match_page import Pictures, page_facts
from siamesekit.gallery.matching import Matches, Query
from siamesekit.gallery.search import Answer, Candidate, PhotoMatch
from siamesekit.gallery.sighting import Sighting
from siamesekit.progress import Progress
from siamesekit.registry import READERS


@pytest.fixture(scope="module")
def enrolled(telling: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of two individuals; not to be written to."""
    folder = tmp_path_factory.mktemp("folder")
    photos = write_photos(folder / "photos", ["Ann", "Bob"])
    records: list[Record] = READERS.build("folder", {"root": str(photos)}, seed=0)
    catalogue, _ = enrol(telling, records, folder / "catalogue", Progress())
    catalogue.close()
    return folder / "catalogue"


def season_in(folder: Path, *individuals: int) -> list[Record]:
    folder.mkdir(parents=True)
    records = []
    for individual in individuals:
        file = folder / f"{individual}.png"
        Image.fromarray(draw_photo(individual, 80)).save(file)
        records.append(Record(file.name, "", file))
    return records


def data_of(page: Path) -> Any:
    """What the script of a page shows."""
    text = re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert text is not None
    return json.loads(text[1])


def own_photos(match: Path) -> Path:
    (match / PICTURES).mkdir(parents=True)
    Image.fromarray(draw_photo(1, 1)).save(match / PICTURES / "IMG_0001.jpg")
    return match / PICTURES / "IMG_0001.jpg"


def linked_photos(match: Path) -> Path:
    file = own_photos(match.parent / "mine")
    match.mkdir()
    (match / PICTURES).symlink_to(file.parent)
    return file


def written(name: str, text: str) -> Callable[[Path], Path]:
    def write(match: Path) -> Path:
        match.mkdir()
        (match / name).write_text(text, "utf-8")
        return match / name

    return write


@pytest.mark.parametrize(
    "own",
    [
        own_photos,
        linked_photos,
        written(PAGE, "<!doctype html>\n<html lang='en'>my site</html>\n"),
        written(TABLE, "query,rank\nmine,1\n"),
    ],
)
def test_files_of_the_user_are_refused_and_stay(enrolled: Path, tmp_path: Path, own: Callable[[Path], Path]) -> None:
    file = own(tmp_path / "match")
    before = file.read_bytes()
    with Catalogue(enrolled) as catalogue:
        found = catalogue.match(season_in(tmp_path / "new", 0, 1))
        with pytest.raises(OutputError, match=r"something other than|is not a folder of a match"):
            write_match(tmp_path / "match", catalogue, found, Progress())
    assert file.read_bytes() == before


def test_an_interrupted_match_leaves_the_earlier_page_with_its_own_pictures(
    enrolled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "match"
    with Catalogue(enrolled) as catalogue:
        page = write_match(folder, catalogue, catalogue.match(season_in(tmp_path / "new", 0, 1)), Progress())
        data = data_of(page)
        before = {file.name: file.read_bytes() for file in (folder / PICTURES).iterdir()}
        with monkeypatch.context() as patch:
            patch.setattr(match_folder, "write_answers", lambda *_: 1 / 0)
            other = catalogue.match(season_in(tmp_path / "other", 7, 8))
            with pytest.raises(ZeroDivisionError):
                write_match(folder, catalogue, other, Progress())
        assert data_of(page) == data
        for query in data["queries"]:
            (photo,) = query["photos"]
            name = Path(photo["image"]).name
            assert (folder / PICTURES / name).read_bytes() == before[name]
            shown = Image.open(folder / PICTURES / name).convert("L").resize((8, 8))
            true = Image.fromarray(read_pixels(Record("a", "", Path(photo["path"])))).convert("L").resize((8, 8))
            assert max(abs(a - b) for a, b in zip(shown.tobytes(), true.tobytes(), strict=True)) < 24
        # what a process that was killed has left does not stand in the way
        for place in (folder, folder / PICTURES):
            atomic.create(place, PAGE)
        write_match(folder, catalogue, other, Progress())
    assert {entry.name for entry in folder.iterdir()} == {PAGE, TABLE, PICTURES}
    assert all(OWN.fullmatch(file.name) for file in (folder / PICTURES).iterdir())
    assert sum(file.name.startswith("query") for file in (folder / PICTURES).iterdir()) == 2
    check_folder(folder)


def test_decisions_on_two_catalogues_are_kept_apart(enrolled: Path, tmp_path: Path) -> None:
    with Catalogue(enrolled) as catalogue:
        queries = catalogue.match(season_in(tmp_path / "new", 0, 1), k=1).queries
        again = catalogue.match([photo.record for query in queries for photo in query.photos], k=2).queries
    pictures = Pictures(lambda _: "", {}, {})
    left, right = (page_facts(tmp_path / name, queries, [], pictures).head for name in ("left", "right"))
    assert left["id"] != right["id"] and left["prefix"] != right["prefix"]
    assert page_facts(tmp_path / "new" / ".." / "left", again, ["Ann"], pictures).head["id"] == left["id"]
    told = [str(tmp_path / "left"), [[photo.identity for photo in query.photos] for query in queries]]
    assert left["id"] == sha256(json.dumps(told).encode()).hexdigest()[:16]  # as pages of earlier versions have it


def test_a_page_says_each_photo_of_the_catalogue_once(enrolled: Path, tmp_path: Path) -> None:
    with Catalogue(enrolled) as catalogue:
        found = catalogue.match(season_in(tmp_path / "new", *range(4)))
        page = write_match(tmp_path / "match", catalogue, found, Progress())
        photos = [catalogue.photo(number) for number in range(1, 9)]
    assert [page.read_text("utf-8").count(f'"{photo.record.name}"') for photo in photos] == [1] * 8


@pytest.mark.parametrize("name", ["decisions.csv", "decisions (1).csv", "decisions(2).csv"])
def test_decisions_saved_into_the_folder_stay_and_are_not_in_the_way(enrolled: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "match"
    folder.mkdir()
    (folder / name).write_text("query,name\n")
    check_folder(folder)
    with Catalogue(enrolled) as catalogue:
        write_match(folder, catalogue, catalogue.match(season_in(tmp_path / "new", 0)), Progress())
    assert (folder / name).read_text() == "query,name\n"
    (folder / "decisions-of-Zoe.csv").write_text("mine")
    with pytest.raises(OutputError, match="something other than a match: decisions-of-Zoe"):
        check_folder(folder)


def test_thumbnails_share_a_flush(enrolled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[Path] = []
    real = atomic.flush
    monkeypatch.setattr(atomic, "flush", lambda path: (flushed.append(path), real(path)))
    with Catalogue(enrolled) as catalogue:
        write_match(tmp_path / "match", catalogue, catalogue.match(season_in(tmp_path / "new", 0)), Progress())
        smalls = [file for file in (tmp_path / "match" / PICTURES).iterdir() if file.stem.endswith("-small")]
        assert len(smalls) == 8 and all(Image.open(file).format == "JPEG" for file in smalls)
    assert not any(path.stem.endswith("-small") for path in flushed)
    assert tmp_path / "match" / PICTURES in flushed


def test_the_folder_is_not_read_for_each_picture(
    enrolled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    real = atomic.sweep
    with Catalogue(enrolled) as catalogue:
        for number in (1, 5):
            swept: list[Path] = []
            monkeypatch.setattr(atomic, "sweep", lambda folder, swept=swept: (swept.append(folder), real(folder)))
            found = catalogue.match(season_in(tmp_path / f"new-{number}", *range(number)))
            write_match(tmp_path / f"match-{number}", catalogue, found, Progress())
            counts.append(len(swept))
    assert counts[0] == counts[1] < 5  # for 20,000 pictures it took half of the time


class FewKnown:
    """Stands in for a catalogue of a few photos without files, as far as a match asks it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder

    def individuals(self) -> dict[str, int]:
        return dict.fromkeys(map(str, range(12)), 1)

    def photos_by_individual(self) -> dict[str, list[int]]:
        return {str(number): [number] for number in range(12)}

    def photo(self, number: int) -> KnownPhoto:
        record = Record(f"{number}.jpg", str(number), self.path / f"{number}.jpg")
        return KnownPhoto(number, record, f"{number:064}", b"")


def many(count: int, folder: Path) -> Spooled[Query]:
    """Queries of one photo each, which is not there, with twelve candidates each."""
    queries: Spooled[Query] = Spooled()
    for number in range(count):
        photo = Sighting(Record(f"{number}.jpg", "", folder / f"{number}.jpg"), f"{number:064}")
        found = [PhotoMatch(each, f"{each}.jpg", f"/photos/{each}.jpg", f"{each}", 0.1, 0.5) for each in range(12)]
        candidates = tuple(Candidate(each.individual, 0.1 + number, 0.5, 0.08, each, 1) for each in found)
        queries.append(Query(f"{number}.jpg", (photo,), Answer(f"{number}.jpg", 0.1, candidates, tuple(found))))
    return queries


@pytest.mark.medium
def test_memory_does_not_grow_with_the_queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mistake it watches for is a copy of all queries, some 10 KiB each as objects or as a page's facts."""
    monkeypatch.setattr(spooled, "IN_MEMORY", 1 << 16)
    monkeypatch.setattr(match_folder, "AT_ONCE", 32)
    peaks = []
    for count in (50, 550):
        tracemalloc.start()
        try:
            matches = Matches(many(count, tmp_path), (), 0, 0, 0, "none")
            page = write_match(tmp_path / f"{count}", FewKnown(tmp_path), matches, Progress())  # type: ignore[arg-type]
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        shown = data_of(page)["queries"]
        assert [each["name"] for each in shown] == [f"{number}.jpg" for number in range(count)]
        assert len((page.parent / TABLE).read_text().splitlines()) == 1 + 12 * count
    assert (peaks[1] - peaks[0]) / 500 < 1000  # names of pictures, and places in the file
